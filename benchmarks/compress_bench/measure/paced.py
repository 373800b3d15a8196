"""Each variant fed like a camera, alone in fresh processes: deadline misses, CPU per frame."""

import random
from collections.abc import Sequence

import numpy as np

from compress_bench.evidence import PacedProcess, Variant
from compress_bench.measure.bed import Advance, Bed, Event, job, model


def measure_paced(
    bed: Bed, variants: Sequence[Variant], fps: float, advance: Advance
) -> dict[str, tuple[PacedProcess, ...]]:
    """Frames at `fps` to each variant in fresh processes, in an order shuffled anew each time.

    Processes that the time cap leaves no time for are not begun.

    Raises:
        BenchError: the runner failed.
    """
    order = random.Random(bed.seed)  # noqa: S311
    found: dict[str, list[PacedProcess]] = {variant.name: [] for variant in variants}
    for index in range(bed.profile.processes):
        for variant in order.sample(list(variants), len(variants)):
            if bed.profile.frames / fps > bed.clock.left():
                continue
            found[variant.name].append(pace(bed, variant, fps, index))
            advance(1)
    return {name: tuple(processes) for name, processes in found.items() if processes}


def pace(bed: Bed, variant: Variant, fps: float, index: int) -> PacedProcess:
    """One fresh process's frames."""
    wanted = job("paced", bed, [model(variant)], seed=bed.seed + index)
    wanted |= {"fps": fps, "frames": bed.profile.frames}
    (event,) = (event for event in bed.listen(wanted) if event["event"] == "paced")
    return _read(event)


def _read(event: Event) -> PacedProcess:
    period = float(event["period_seconds"])
    seconds = np.array([np.nan if ns is None else ns * 1e-9 for ns in event["frames_ns"]])
    answered = ~np.isnan(seconds)
    return PacedProcess(
        period_seconds=period,
        seconds=seconds[answered],
        missed=~answered | (np.nan_to_num(seconds) > period),
        cpu_seconds=event["cpu_ns"] * 1e-9,
    )
