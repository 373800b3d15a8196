"""Time of one inference after a long run without a pause, beside that of the first seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.evidence import Evidence, Sustained
from compress_bench.metrics import Goal, GoalForm
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, less_work
from compress_bench.statistics import Estimate, missing, order_ranks

GOAL = GoalForm(bounds={"max": "time"}, timed=True)

# MLPerf-like burst: what a board does before it is warm; at most the first sixth of the run.
BURST_SECONDS = 10.0
_NONE = "this profile has no sustained run; give --sustained SECONDS or --profile strict"
_CUT = "the time cap left no time for it; give --time-cap"


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`sustained`: burst, the last third, their ratio, and the windows; None if it was not run."""
    found = evidence.sustained.get(variant)
    if found is None:
        return {"sustained": None, "sustained_reason": _CUT if evidence.sustained else _NONE}
    burst, last = _parts(found)
    first, late = _median(burst), _median(last)
    return {
        "sustained": {
            "seconds": found.window_seconds * len(found.medians),
            "window_seconds": found.window_seconds,
            "burst": first.to_dict(),
            "sustained": late.to_dict(),
            "ratio": _over(late, first).to_dict(),
            "throttled": found.throttled,
            "windows_seconds": [round(median, 9) for median in found.medians],
            "celsius": list(found.celsius),
            "khz": list(found.khz),
        }
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Seconds of an inference in the last third of the run."""
    found = evidence.sustained.get(goal.variant)
    if found is None:
        return missing(_CUT if evidence.sustained else _NONE)
    return _median(_parts(found)[1])


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Cooling where the first seconds are fast enough, else less work."""
    found = evidence.sustained[goal.variant]
    burst, last = (float(np.median(part)) for part in _parts(found))
    if burst > goal.limit or another_variant(goal, evidence):
        return less_work(goal, evidence, value=last, limit=goal.limit)
    degrees = f" at {found.celsius[-1]:.0f} °C" if found.celsius else ""
    return (
        f"the first seconds take {show(burst, 'time')}, which meets it; after "
        f"{found.window_seconds * len(found.medians):.0f} s it is {last / burst:.3g}x that"
        f"{degrees}: cool the board, or pause between inferences, and up to "
        f"{show(burst, 'time')} is expected"
    )


def _parts(found: Sustained) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The windows of the burst and those of the last third."""
    medians = np.asarray(found.medians)
    burst = max(1, min(int(BURST_SECONDS / found.window_seconds), len(medians) // 6))
    return medians[:burst], medians[-max(1, len(medians) // 3) :]


def _median(windows: NDArray[np.float64]) -> Estimate:
    """The median window, between two of them: of this one run, not of others."""
    ordered = np.sort(windows)
    low, high = order_ranks(len(ordered), 50)
    bounded = low >= 1 and high <= len(ordered)
    return Estimate(
        float(np.median(ordered)),
        float(ordered[low - 1]) if bounded else None,
        float(ordered[high - 1]) if bounded else None,
        reason="" if bounded else f"{len(ordered)} windows are too few for an interval",
    )


def _over(late: Estimate, first: Estimate) -> Estimate:
    """A ratio whose bounds both intervals allow: wider than its confidence needs."""
    assert late.value is not None and first.value is not None
    value = late.value / first.value
    if late.low is None or late.high is None or first.low is None or first.high is None:
        return Estimate(value, None, None, reason=late.reason or first.reason)
    return Estimate(value, late.low / first.high, late.high / first.low)
