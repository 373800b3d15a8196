"""Instructions and energy of an inference, where the machine counts them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from compress.errors import RunnerLostError
from compress.settings.bench import Instructions
from compress_bench.evidence import Counted, Gap, Variant
from compress_bench.jobs.listening import Event
from compress_bench.measure import valgrind
from compress_bench.measure.bed import Advance, Bed, Clock, cut, job, model

_LOST = {
    "lost": True,
    "instructions": None,
    "source": "",
    "joules": None,
    "energy_source": "",
}
_EMULATED = 2  # processes under valgrind: they agree to parts in a hundred thousand


def measure_counts(
    bed: Bed, variants: Sequence[Variant], instructions: Instructions, advance: Advance
) -> tuple[dict[str, Counted], tuple[Gap, ...]]:
    """Each variant in fresh processes.

    Returns:
        Counts by variant, and which have fewer than were planned.

    Raises:
        BenchError: the runner failed.
    """
    emulated = instructions == "valgrind"
    found: dict[str, Counted] = {}
    events: list[Event] = []
    for variant in variants:
        if not events or _counters(events[-1]) or events[-1].get("lost"):
            here = "off" if emulated else instructions
            events = _count(bed, variant, here, bed.profile.counting)
        found[variant.name] = read_counts(events)
        advance(bed.profile.counting)
    for index, variant in enumerate(variants if emulated else ()):
        last = len(variants) - index
        share = replace(bed, target=valgrind.stream, clock=Clock(bed.clock.left() / last))
        counted = read_counts(_count(share, variant, "valgrind", _EMULATED))
        found[variant.name] = replace(
            found[variant.name],
            instructions=counted.instructions,
            source=counted.source,
            reason=counted.reason,
            lost=counted.lost,
        )
    gaps = (_gap(found[variant.name], variant, bed.profile.counting) for variant in variants)
    return found, tuple(gap for gap in gaps if gap is not None)


def _gap(counted: Counted, variant: Variant, planned: int) -> Gap | None:
    """What is missing where counting began; what cannot be counted at all has its own reason."""
    emulated = counted.source == "valgrind"
    instructions = (len(counted.instructions), _EMULATED if emulated else planned)
    for done, wanted in (instructions, (len(counted.joules), planned)):
        if 0 < done < wanted and counted.lost:
            return Gap(
                kind="counts", variant=variant.name, flag="lost_process", reason=counted.lost
            )
        if 0 < done < wanted:
            return cut("counts", variant, done, wanted)
    return None


def _count(bed: Bed, variant: Variant, instructions: str, processes: int) -> list[Event]:
    """The events of one variant's processes."""
    events: list[Event] = []
    for index in range(processes):
        if events and (not bed.clock.left() or not _counters(events[-1])):
            break
        wanted = count_job(bed, variant, instructions, index, processes)
        try:
            events += [event for event in bed.listen(wanted) if event["event"] == "counts"]
        except RunnerLostError as error:  # an emulator may not know every instruction
            events.append({**_LOST, "reason": str(error), "energy_reason": str(error)})
    return events


def count_job(
    bed: Bed, variant: Variant, instructions: str, index: int, processes: int
) -> dict[str, Any]:
    """One process's job; it gets an equal share of the time that is left."""
    return job("counts", bed, [model(variant)], seed=bed.seed + index) | {
        "instructions": instructions,
        "budget_seconds": bed.clock.left() / (processes - index),
    }


def _counters(event: Event) -> bool:
    """Whether the machine has any, whatever came of them."""
    return bool(event["source"] or event["energy_source"])


def read_counts(events: Sequence[Event]) -> Counted:
    """The processes' events of one variant, as evidence."""
    last = events[-1]
    return Counted(
        instructions=tuple(e["instructions"] for e in events if e["instructions"] is not None),
        source=max(event["source"] for event in events),  # a lost process has none
        reason=last["reason"],
        joules=tuple(e["joules"] for e in events if e["joules"] is not None),
        energy_source=max(event["energy_source"] for event in events),
        energy_reason=last["energy_reason"],
        lost=last["reason"] if last.get("lost") else "",
    )
