"""What else happened on the machine while it measured; outliers stay, the reader is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from compress_bench.evidence import LatencyProcess

# Measured: 1.00 on a quiet machine, 2.0 beside a busy neighbour on each core.
WALL_OVER_CPU = 1.1
# A neighbour that wants the same core takes it some hundred times a second; housekeeping a few.
SWITCHES_PER_SECOND = 50
STOLEN = 0.01
OTHERS = 0.25


@dataclass(frozen=True)
class Room:
    """How many threads compute on how many cores."""

    threads: int
    cores: int


def is_contended(process: LatencyProcess, room: Room) -> bool:
    """Whether other work took the processor away while blocks ran."""
    if process.stolen > STOLEN or process.others > room.cores - room.threads + OTHERS:
        return True
    # Several threads wait for each other, and take cores from each other.
    return room.threads == 1 and (
        process.wall_over_cpu > WALL_OVER_CPU or process.switches_per_second > SWITCHES_PER_SECOND
    )


def flags(processes: Sequence[LatencyProcess], room: Room) -> list[str]:
    """The report's flags: contended, throttled, not_steady."""
    found = {
        "contended": any(is_contended(p, room) for p in processes),
        "throttled": any(p.throttled for p in processes),
        "not_steady": any(p.unsteady for p in processes),
    }
    return [name for name, happened in found.items() if happened]


def explain(processes: Sequence[LatencyProcess], room: Room) -> list[str]:
    """A sentence for each flag, with its numbers."""
    sentences = []
    total = len(processes)
    busy = [p for p in processes if is_contended(p, room)]
    if busy:
        worst = max(p.others for p in busy)
        sentences.append(
            f"contended: other work disturbed {len(busy)} of {total} processes (it kept up to "
            f"{worst:.1f} of {room.cores} cores busy); times are upper bounds"
        )
    hot = sum(p.throttled for p in processes)
    if hot:
        sentences.append(
            f"throttled: a heat or power limit bit in {hot} of {total} processes; "
            "cool the board or mend its supply"
        )
    unsteady = sorted({name for p in processes for name in p.unsteady})
    if unsteady:
        sentences.append(
            f"not_steady: {', '.join(unsteady)} still changed by more than 2 % when the time "
            "for warm-up ended; close other programs or use --profile strict"
        )
    return sentences
