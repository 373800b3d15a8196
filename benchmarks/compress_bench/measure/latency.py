"""All variants and a copy of the reference, interleaved in fresh processes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import RunnerLostError
from compress_bench.evidence import COPY, LatencyProcess, Variant
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Advance, Bed, job, model, throttled

SPARE = 2  # processes that may take the place of lost ones


@dataclass(frozen=True)
class Latency:
    """What was measured.

    Attributes:
        processes: those that finished a round at least.
        capped: whether the time cap left out rounds or processes.
        notes: sentences for the user.
    """

    processes: tuple[LatencyProcess, ...]
    capped: bool
    notes: tuple[str, ...]


def measure_latency(
    bed: Bed, variants: Sequence[Variant], reference: str, advance: Advance
) -> Latency:
    """Time every variant and a copy of the reference.

    A process whose runner dies keeps its finished rounds; another one is begun in its place.

    Raises:
        BenchError: the runner failed; names the variant.
    """
    models = latency_models(variants, reference)
    processes: list[LatencyProcess] = []
    notes: dict[str, None] = {}
    whole, lost = 0, 0
    while whole < bed.profile.processes and (bed.clock.left() or not processes):
        left = bed.profile.processes - whole
        heard, death = _hear(bed, latency_job(bed, models, len(processes), left), advance)
        notes |= dict.fromkeys(skipped_settings(heard))
        if death is not None:
            lost += 1
            if lost > SPARE or not _rounds(heard):
                raise death
            notes |= {f"lost_process: {death}; its finished rounds are kept": None}
        processes.append(read_process(heard, lost=death is not None))
        whole += death is None
    cut = any(process.capped for process in processes)
    return Latency(tuple(processes), cut or whole < bed.profile.processes, tuple(notes))


def latency_models(variants: Sequence[Variant], reference: str) -> list[dict[str, Any]]:
    """What every process runs: all variants, and the copy of the reference."""
    models = [model(variant) for variant in variants]
    return models + [model(v, COPY) for v in variants if v.name == reference]


def latency_job(
    bed: Bed, models: Iterable[Mapping[str, Any]], index: int, processes_left: int
) -> dict[str, Any]:
    """One process's job; it gets an equal share of the time that is left."""
    return job("latency", bed, models, seed=bed.seed + index) | {
        "rounds": bed.profile.rounds,
        "budget_seconds": bed.clock.left() / processes_left,
    }


def _hear(
    bed: Bed, wanted: Mapping[str, Any], advance: Advance
) -> tuple[list[Event], RunnerLostError | None]:
    """A process's events, and how it was lost, if it was."""
    heard: list[Event] = []
    try:
        for event in bed.listen(wanted):
            heard.append(event)
            if event["event"] == "round":
                advance(1)
    except RunnerLostError as error:
        return heard, error
    return heard, None


def skipped_settings(events: Iterable[Event]) -> list[str]:
    """A sentence for each session setting that this onnxruntime does not know."""
    return [
        f"{event['variant']}: this onnxruntime does not know the session setting {key}; skipped"
        for event in events
        if event["event"] == "session"
        for key in event["skipped"]
    ]


def _rounds(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event["event"] == "round"]


def read_process(events: Sequence[Event], *, lost: bool = False) -> LatencyProcess:
    """One process's events as evidence; at least one round must be among them."""
    rounds = _rounds(events)
    blocks = [block for event in rounds for block in event["blocks"]]
    wall = sum(block["wall_ns"] for block in blocks)
    cpu = sum(block["cpu_ns"] for block in blocks)
    states = [event["state"] for event in events if event["event"] in ("state", "round")]
    before, after = states[0], states[-1]
    return LatencyProcess(
        rounds=tuple(_round(event) for event in rounds),
        wall_over_cpu=wall / max(cpu, 1),
        switches_per_second=sum(block["switches"] for block in blocks) / (wall * 1e-9),
        others=_rate(before, after, "busy_cpu_seconds") - _rate(before, after, "own_cpu_seconds"),
        stolen=_rate(before, after, "stolen_cpu_seconds"),
        load=after["load"],
        throttled=throttled(states),
        unsteady=tuple(e["variant"] for e in events if e["event"] == "warm_up" and not e["steady"]),
        cpu_seconds=_cpu_seconds(blocks),
        states=tuple({key: s[key] for key in ("khz", "celsius", "load")} for s in states[1:]),
        capped=any(event["event"] == "capped" for event in events),
        lost=lost,
    )


def _round(event: Event) -> dict[str, NDArray[np.float64]]:
    return {
        block["variant"]: np.asarray(block["samples_ns"], dtype=np.float64) * 1e-9
        for block in event["blocks"]
    }


def _cpu_seconds(blocks: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """CPU time of one inference per variant, of all its blocks."""
    taken: defaultdict[str, float] = defaultdict(float)
    inferences: defaultdict[str, int] = defaultdict(int)
    for block in blocks:
        taken[block["variant"]] += block["cpu_ns"] * 1e-9
        inferences[block["variant"]] += len(block["samples_ns"])
    return {name: seconds / inferences[name] for name, seconds in taken.items()}


def _rate(before: Event, after: Event, counter: str) -> float:
    """How fast a counter grew, per second; 0 where the system has none."""
    if before[counter] is None:
        return 0.0
    elapsed = after["seconds"] - before["seconds"]
    return float((after[counter] - before[counter]) / elapsed)
