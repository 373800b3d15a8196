"""Time from a frame's arrival to its answer, at a camera's pace."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.evidence import Evidence, PacedProcess
from compress_bench.metrics import Goal, GoalForm
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, less_work
from compress_bench.statistics import Estimate, geometric, missing, nearest_rank, percentile

PERCENTILES = (50, 90, 99)
GOAL = GoalForm(
    bounds={"max": "time"},
    details=tuple(f"p{percent}" for percent in PERCENTILES),
    timed=True,
    measured="paced",
)

NEVER = 1e30  # seconds that a dropped frame takes

_NOT_PACED = "frames were not paced; give --fps"
_CUT = "the time cap left no time to pace frames; give a larger --time-cap"


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """Nothing of its own: `paced` holds it, see deadline_misses."""
    return {}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The percentile that the goal names; dropped frames take for ever."""
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


def why_not_paced(evidence: Evidence, variant: str) -> str:
    """Why a variant has no frames."""
    if evidence.untimed:
        return evidence.untimed
    gap = evidence.gap("paced", variant)
    if gap is not None:
        return gap.reason
    return _CUT if evidence.paced or "paced" in evidence.asked else _NOT_PACED


def frame_seconds(evidence: Evidence, variant: str, percent: int) -> Estimate:
    """Percentile of all frames: p50 by t on the processes' medians, else by order.

    A dropped frame is one that was never answered: it takes longer than any other.
    """
    processes = evidence.paced.get(variant, ())
    if not processes:
        return missing(why_not_paced(evidence, variant))
    samples = [_with_dropped(process) for process in processes]
    medians = [nearest_rank(process, 50) for process in samples]
    if percent == 50 and max(medians) < NEVER:
        return bounded_by_plan(evidence, variant, geometric(medians))
    found = percentile(samples, percent) if percent != 50 else Estimate(NEVER, None, None)
    return bounded_by_plan(evidence, variant, _answered(found, samples, percent))


def _with_dropped(process: PacedProcess) -> NDArray[np.float64]:
    """Seconds of each frame: float64 [frames]."""
    dropped = np.full(len(process.missed) - len(process.seconds), NEVER)
    return np.concatenate([process.seconds, dropped])


def _answered(found: Estimate, samples: Sequence[NDArray[np.float64]], percent: int) -> Estimate:
    """What of a percentile lies among the frames that were answered."""
    every = np.concatenate(samples)
    dropped = int((every == NEVER).sum())
    longest = float(every[every < NEVER].max(initial=0.0))
    why = f"{dropped} of {len(every)} frames were dropped"
    if found.value is None:
        return found
    if found.value > longest:
        return missing(f"{why}, so that p{percent} has no time; give a lower --fps")
    if found.high is not None and found.high > longest:
        return replace(found, high=None, reason=f"{why}, which leaves p{percent} without a bound")
    return found


def bounded_by_plan(evidence: Evidence, variant: str, found: Estimate) -> Estimate:
    """The same without bounds where fewer processes were paced than planned."""
    gap = evidence.gap("paced", variant)
    if gap is None or found.value is None:
        return found
    return replace(found, low=None, high=None, reason=gap.reason)
