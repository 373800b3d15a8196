"""What else happened on the machine while it measured; outliers stay, the reader is told."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from compress_bench.evidence import Evidence, LatencyProcess, Room

# Measured: 1.00 on a quiet machine, 2.0 beside a busy neighbour on each core.
WALL_OVER_CPU = 1.1
# A neighbour that wants the same core takes it some hundred times a second; housekeeping a few.
SWITCHES_PER_SECOND = 50
STOLEN = 0.01  # cores' worth of time
OTHERS = 0.25
_PARTS = {
    "fresh": "fresh processes",
    "paced": "paced frames",
    "sustained": "sustained windows",
    "layers": "layer times",
    "counts": "counts",
}
CLOCK = 0.05  # change of the clock beyond its jitter, and beyond what is called a difference


def is_contended(process: LatencyProcess, room: Room) -> bool:
    """Whether other programs took the processor away while blocks ran."""
    if process.others > room.cores - room.threads + OTHERS:
        return True
    # Several threads wait for each other, and take cores from each other.
    return room.threads == 1 and (
        process.wall_over_cpu > WALL_OVER_CPU or process.switches_per_second > SWITCHES_PER_SECOND
    )


def is_stolen(process: LatencyProcess) -> bool:
    """Whether the hypervisor ran another machine in our place."""
    return process.stolen > STOLEN


def clock_range(processes: Sequence[LatencyProcess]) -> tuple[float, float] | None:
    """Slowest and fastest clock after any round, in kHz, where they differ by more than 5 %."""
    known = list(chain.from_iterable(process.known("khz") for process in processes))
    if not known or max(known) <= min(known) * (1 + CLOCK):
        return None
    return min(known), max(known)


# --------------------------------------------------------------------------- for the report

Sentence = Callable[[Evidence], str]


def flags(evidence: Evidence) -> list[str]:
    """The report's flags, each a key of `explanations`."""
    return list(explanations(evidence))


def explain(evidence: Evidence, governor: str | None = None) -> list[str]:
    """A sentence for each flag, with its numbers, and one for a clock that follows the load.

    Args:
        evidence: what was measured.
        governor: of the clock, as the kernel names it; None where it has none.
    """
    sentences = [f"{name}: {words}" for name, words in explanations(evidence).items()]
    if governor not in (None, "", "performance"):
        sentences.append(
            f"governor: the clock is run by {governor}, not performance, and may follow the load; "
            f"cpupower frequency-set -g performance holds it"
        )
    return sentences


def explanations(evidence: Evidence) -> Mapping[str, str]:
    """What happened, by flag: contended, stolen, throttled, frequency, and so on."""
    sentences: dict[str, Sentence] = {
        "contended": _contended,
        "stolen": _stolen,
        "throttled": _throttled,
        "frequency": _frequency,
        "not_steady": _not_steady,
        "time_cap": _time_cap,
        "lost_process": _lost,
    }
    said = {name: sentence(evidence) for name, sentence in sentences.items()}
    return {name: words for name, words in said.items() if words}


def _contended(evidence: Evidence) -> str:
    room, total = evidence.room, len(evidence.latency)
    busy = [process for process in evidence.latency if is_contended(process, room)]
    if not busy:
        return ""
    worst = max(process.others for process in busy)
    return (
        f"other work disturbed {len(busy)} of {total} processes (it kept up to {worst:.1f} of "
        f"{room.cores} cores busy); times are upper bounds"
    )


def _stolen(evidence: Evidence) -> str:
    hit = [process.stolen for process in evidence.latency if is_stolen(process)]
    if not hit:
        return ""
    return (
        f"the hypervisor gave up to {100 * max(hit):.0f} % of a core to other machines in "
        f"{len(hit)} of {len(evidence.latency)} processes; times are upper bounds"
    )


def _throttled(evidence: Evidence) -> str:
    hot = [process for process in evidence.latency if process.throttled]
    if not hot:
        return ""
    degrees = list(chain.from_iterable(process.known("celsius") for process in hot))
    reached = f" at up to {max(degrees):.0f} °C" if degrees else ""
    return (
        f"a heat or power limit bit in {len(hot)} of {len(evidence.latency)} processes{reached}; "
        "cool the board or mend its supply"
    )


def _frequency(evidence: Evidence) -> str:
    found = clock_range(evidence.latency)
    if found is None:
        return ""
    slow, fast = (khz * 1e-6 for khz in found)
    return (
        f"the clock ran at {slow:.2f} to {fast:.2f} GHz; times are upper bounds of those at the "
        "faster"
    )


def _not_steady(evidence: Evidence) -> str:
    unsteady = sorted({name for process in evidence.latency for name in process.unsteady})
    if not unsteady:
        return ""
    return (
        f"{', '.join(unsteady)} still changed by more than 2 % when the time for warm-up ended; "
        "close other programs or use --profile strict"
    )


def _time_cap(evidence: Evidence) -> str:
    left = _left_out(evidence, "time_cap")
    if evidence.capped:
        rounds, planned = rounds_of(evidence)
        of_time = "so that no goal on back-to-back times is decided"
        more = f"; it cut short or left out {left}" if left else ""
        said = f"the time cap left {rounds} of {planned} rounds, {of_time}{more}"
    elif left:
        said = f"the time cap cut short or left out {left}"
    else:
        return ""
    return f"{said}; give a longer --time-cap"


def _left_out(evidence: Evidence, flag: str) -> str:
    found = [f"{_PARTS[gap.kind]} of {gap.variant}" for gap in evidence.gaps if gap.flag == flag]
    return ", ".join(found)


def rounds_of(evidence: Evidence) -> tuple[int, int]:
    """Rounds that were measured, and those that were planned."""
    processes, rounds = evidence.planned
    return sum(len(process.rounds) for process in evidence.latency), processes * rounds


def _lost(evidence: Evidence) -> str:
    lost = [process for process in evidence.latency if process.lost]
    kept = sum(len(process.rounds) for process in lost)
    died = f"{len(lost)} of {len(evidence.latency)} processes died; {kept} of their rounds are kept"
    said = [died] if lost else []
    said += [
        f"{_PARTS[gap.kind]} of {gap.variant} are missing: {gap.reason}"
        for gap in evidence.gaps
        if gap.flag == "lost_process"
    ]
    return "; ".join(said)


# ---------------------------------------------------------------------------- for the verdict


def upper_bounds(evidence: Evidence) -> str:
    """Why times may be longer than the model's own, or empty."""
    said = explanations(evidence)
    found = [said[name] for name in ("contended", "stolen", "frequency") if name in said]
    return found[0] if found else ""


def throttled(evidence: Evidence) -> str:
    """What a limit of heat or power did, or empty; such times are those of this board."""
    return explanations(evidence).get("throttled", "").split(";")[0]


def cut_short(evidence: Evidence, measured: str = "latency", variant: str = "") -> str:
    """Why numbers do not rest on what was planned, or empty.

    Args:
        evidence: what was measured.
        measured: latency, or the kind of a gap.
        variant: whose gap; latency is cut short for all of them.
    """
    if measured == "latency":
        return explanations(evidence).get("time_cap", "").split(",")[0] if evidence.capped else ""
    gap = evidence.gap(measured, variant)
    return gap.reason.split(";")[0] if gap is not None and gap.flag == "time_cap" else ""
