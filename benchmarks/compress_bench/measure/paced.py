"""Each variant fed like a camera, alone in fresh processes: deadline misses, CPU per frame."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.errors import RunnerLostError
from compress_bench.evidence import Gap, PacedProcess, Variant
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Advance, Bed, cut, job, lost, model


def measure_paced(
    bed: Bed, variants: Sequence[Variant], fps: float, advance: Advance
) -> tuple[dict[str, tuple[PacedProcess, ...]], tuple[Gap, ...]]:
    """Frames at `fps` to each variant in fresh processes, in an order shuffled anew each time.

    Processes that the time cap leaves no time for are not begun. A variant whose process dies
    has no further ones, and none at all in what is returned: what killed it may be its frames.

    Returns:
        Processes by variant, and what is missing of which.

    Raises:
        BenchError: the runner failed.
    """
    planned, gaps = bed.profile.processes, dict[str, Gap]()
    found: dict[str, list[PacedProcess]] = {variant.name: [] for variant in variants}
    for index, variant in paced_turns(bed, variants):
        if variant.name in gaps or bed.profile.frames / fps > bed.clock.left():
            continue
        try:
            found[variant.name].append(pace(bed, variant, fps, index))
        except RunnerLostError as death:
            gaps[variant.name], found[variant.name] = lost("paced", variant, death), []
        advance(1)
    for variant in variants:
        if len(found[variant.name]) < planned:
            gaps.setdefault(variant.name, cut("paced", variant, len(found[variant.name]), planned))
    kept = {name: tuple(processes) for name, processes in found.items() if processes}
    return kept, tuple(gaps.values())


def paced_turns(bed: Bed, variants: Sequence[Variant]) -> Iterator[tuple[int, Variant]]:
    """Whose turn it is, and in which process of its own."""
    order = random.Random(bed.seed)  # noqa: S311
    for index in range(bed.profile.processes):
        for variant in order.sample(list(variants), len(variants)):
            yield index, variant


def paced_job(bed: Bed, variant: Variant, fps: float, index: int) -> dict[str, Any]:
    """One process's job."""
    wanted = job("paced", bed, [model(variant)], seed=bed.seed + index)
    return wanted | {"fps": fps, "frames": bed.profile.frames}


def pace(bed: Bed, variant: Variant, fps: float, index: int) -> PacedProcess:
    """One fresh process's frames."""
    heard = bed.listen(paced_job(bed, variant, fps, index))
    (event,) = (event for event in heard if event["event"] == "paced")
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


def say_assumed(paced: Mapping[str, Sequence[PacedProcess]]) -> tuple[str, ...]:
    """What the interval of missed frames cannot cover, in a sentence; none without frames."""
    processes = min((len(each) for each in paced.values()), default=0)
    if not processes:
        return ()
    return (
        f"paced: intervals of missed frames assume that other processes are like these "
        f"{processes}: what disturbs one process in ten as a whole stays unseen in "
        f"{100 * 0.9**processes:.0f} % of such measurements",
    )
