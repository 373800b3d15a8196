"""Frames of a camera that were not answered before the next one came."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.intervals import t_interval, wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.metrics.frame_cpu import cpu_seconds
from compress_bench.metrics.frame_latency import (
    PERCENTILES,
    bounded_by_plan,
    frame_seconds,
    why_not_paced,
)
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, sentences, smaller_student
from compress_bench.statistics import (
    INTERVAL_PROCESSES,
    Estimate,
    from_interval,
    missing,
    nearest_rank,
)

GOAL = GoalForm(bounds={"max": "share"}, timed=True, measured="paced")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`paced`: misses, time from arrival to answer, CPU time a frame; None without --fps."""
    processes = evidence.paced.get(variant, ())
    if not processes:
        return {"paced": None, "paced_reason": why_not_paced(evidence, variant)}
    period = processes[0].period_seconds
    fields: dict[str, Any] = {
        "fps": 1 / period,
        "frames": sum(len(process.missed) for process in processes),
        "deadline_seconds": period,
        "missed": _missed(evidence, variant).to_dict(),
        "cpu_seconds_per_frame": cpu_seconds(evidence, variant).to_dict(),
    }
    for percent in PERCENTILES:
        found = frame_seconds(evidence, variant, percent)
        fields[f"p{percent}"] = None if found.value is None else found.to_dict()
        if found.value is None:
            fields[f"p{percent}_reason"] = found.reason
    return {"paced": fields}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Share of the frames."""
    return _missed(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """A pace that so many answers keep, or less work."""
    sure = another_variant(goal, evidence)
    if sure:
        return sure
    period = evidence.paced[goal.variant][0].period_seconds
    pooled = np.concatenate(evidence.samples(goal.variant))
    percent = max(1, min(99, math.ceil(100 * (1 - goal.limit))))
    needed = nearest_rank(pooled, percent)
    said = f"p{percent} of an inference back to back is {show(needed, 'time')}"
    if needed <= period:
        return (
            f"{said}, less than the {show(period, 'time')} between frames: misses come from what "
            "happens between frames; hold the clock (governor performance) and stop other programs"
        )
    return sentences(
        f"{said}, more than the {show(period, 'time')} between frames: at --fps "
        f"{math.floor(10 / needed) / 10:g} so few misses are expected",
        smaller_student(evidence, goal.variant, needed, period, "time"),
    )


def _missed(evidence: Evidence, variant: str) -> Estimate:
    processes = evidence.paced.get(variant, ())
    if not processes:
        return missing(why_not_paced(evidence, variant))
    found = share_missed([process.missed for process in processes])
    return bounded_by_plan(evidence, variant, found)


def share_missed(per_process: Sequence[NDArray[np.bool_]]) -> Estimate:
    """The share of frames missed, with the wider of two intervals on each side.

    Wilson's of all frames as if independent, which says something where none was missed; and
    Student's t on the processes' shares, since misses come in bursts.

    What it assumes: other processes are like these. A disturbance that makes one process in ten
    miss all its frames is not there at all in 59 of 100 measurements of five processes, whose
    interval then ends far below its 10 %. No interval from five processes could exclude it: it
    would reach to 45 %. The report's notes say so.

    Args:
        per_process: whether each frame was missed, per process.
    """
    every = np.concatenate(per_process)
    frames = wilson(int(every.sum()), len(every))
    if len(per_process) < INTERVAL_PROCESSES:
        return Estimate(frames.value, None, None, reason="too few processes")
    spread = t_interval(np.array([missed.mean() for missed in per_process]))
    low = max(0.0, min(frames.low, spread.low))
    found = from_interval(frames)
    return Estimate(found.value, low, min(1.0, max(frames.high, spread.high)), found.confidence)
