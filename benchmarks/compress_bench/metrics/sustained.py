"""Time of one inference after a long run without a pause, beside that of the first seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.evidence import Evidence, Sustained
from compress_bench.metrics import Goal, GoalForm
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, less_work
from compress_bench.statistics import Estimate, missing

GOAL = GoalForm(bounds={"max": "time"}, timed=True, measured="sustained")

# MLPerf-like burst: what a board does before it is warm; at most the first sixth of the run.
BURST_SECONDS = 10.0
LEAST_WINDOWS = 3  # of a part, for its fastest and slowest to tell anything
_NONE = "this profile has no sustained run; give --sustained SECONDS or --profile strict"
_CUT = "the time cap left no time for it; give a larger --time-cap"


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`sustained`: burst, the last third, their ratio, and the windows; None if it was not run."""
    found = evidence.sustained.get(variant)
    if found is None:
        return {"sustained": None, "sustained_reason": _why_not(evidence, variant)}
    burst, last = _parts(found)
    first, late = _of_windows(burst), _of_windows(last)
    return {
        "sustained": {
            "seconds": float(found.ends[-1]),
            "window_seconds": found.window_seconds,
            "burst": first.to_dict(),
            "sustained": late.to_dict(),
            "ratio": _over(late, first).to_dict(),
            "throttled": found.throttled,
            "windows_seconds": [round(median, 9) for median in found.medians],
            "windows_end_seconds": np.round(found.ends, 6).tolist(),
            "celsius": list(found.celsius),
            "khz": list(found.khz),
        }
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Seconds of an inference in the last third of the run."""
    found = evidence.sustained.get(goal.variant)
    if found is None:
        return missing(_why_not(evidence, goal.variant))
    return _of_windows(_parts(found)[1])


def _why_not(evidence: Evidence, variant: str) -> str:
    if evidence.untimed:
        return evidence.untimed
    gap = evidence.gap("sustained", variant)
    if gap is not None:
        return gap.reason
    return _CUT if evidence.sustained or "sustained" in evidence.asked else _NONE


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Cooling where the first seconds are fast enough, else less work."""
    found = evidence.sustained[goal.variant]
    burst, last = (float(np.median(part)) for part in _parts(found))
    if burst > goal.limit or another_variant(goal, evidence):
        return less_work(goal, evidence, value=last, limit=goal.limit)
    degrees = f" at {found.celsius[-1]:.0f} °C" if found.celsius else ""
    return (
        f"the first seconds take {show(burst, 'time')}, which meets it; after "
        f"{found.ends[-1]:.0f} s it is {last / burst:.3g}x that"
        f"{degrees}: cool the board, or pause between inferences, and up to "
        f"{show(burst, 'time')} is expected"
    )


def _parts(found: Sustained) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The windows of the burst and those of the last third, by the time that they took."""
    medians, ends = np.asarray(found.medians), found.ends
    rounding = 1e-6 * ends[-1]
    burst = int((ends <= min(BURST_SECONDS, ends[-1] / 6) + rounding).sum())
    last = int((ends > ends[-1] * 2 / 3 + rounding).sum())
    return medians[: max(1, burst)], medians[-last:]


def _of_windows(windows: NDArray[np.float64]) -> Estimate:
    """The median window between the fastest and the slowest: what was seen, of this one run.

    No interval of a confidence: windows that follow each other are too much alike for one.
    """
    value = float(np.median(windows))
    if len(windows) < LEAST_WINDOWS:
        reason = f"{len(windows)} windows are too few for bounds; give a longer --sustained"
        return Estimate(value, None, None, reason=reason)
    return Estimate(value, float(windows.min()), float(windows.max()), 1.0)


def _over(late: Estimate, first: Estimate) -> Estimate:
    """A ratio, from the least to the greatest of any two windows."""
    assert late.value is not None and first.value is not None
    value = late.value / first.value
    if late.low is None or late.high is None or first.low is None or first.high is None:
        return Estimate(value, None, None, reason=late.reason or first.reason)
    return Estimate(value, late.low / first.high, late.high / first.low, 1.0)
