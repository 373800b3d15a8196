"""Time from a frame's arrival to its answer, at a camera's pace."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, less_work
from compress_bench.statistics import Estimate, geometric, missing, nearest_rank, percentile

PERCENTILES = (50, 90, 99)
GOAL = GoalForm(
    bounds={"max": "time"}, details=tuple(f"p{percent}" for percent in PERCENTILES), timed=True
)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """Nothing of its own: `paced` holds it, see deadline_misses."""
    return {}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The percentile that the goal names; dropped frames have no time."""
    return frame_seconds(evidence, goal.variant, int(goal.detail.removeprefix("p")))


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Less work; where the same inference back to back is fast enough, a clock that is held."""
    found = estimate(evidence, goal).value
    assert found is not None
    percent = int(goal.detail.removeprefix("p"))
    pooled = np.sort(np.concatenate(evidence.samples(goal.variant)))
    busy = nearest_rank(pooled, percent)
    if busy > goal.limit or another_variant(goal, evidence):
        return less_work(goal, evidence, value=found, limit=goal.limit)
    return (
        f"back to back {goal.detail} is {show(busy, 'time')}, which meets it: between frames the "
        f"clock falls and caches are lost; hold the clock (governor performance), and about "
        f"{show(busy, 'time')} is expected"
    )


def frame_seconds(evidence: Evidence, variant: str, percent: int) -> Estimate:
    """Percentile of the answered frames: p50 by t on the processes' medians, else by order."""
    samples = [process.seconds for process in evidence.paced.get(variant, ())]
    samples = [process for process in samples if len(process)]
    if not samples:
        return missing("no frame was answered; give --fps, or a lower one")
    if percent == 50:
        return geometric([float(np.median(process)) for process in samples])
    return percentile(samples, percent)
