"""How many times faster than another variant: paired, within rounds that saw the same machine."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import (
    Estimate,
    declared,
    geometric,
    missing,
    ratio,
)

GOAL = GoalForm(bounds={"min": "ratio"}, details=("p50",), compares=("min",), timed=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`speedup` of medians over the reference and what is declared; None for the reference."""
    if variant == evidence.reference:
        return {"speedup": None}
    if not evidence.latency:
        return unmeasured(evidence, "speedup")
    logs = evidence.log_ratios(evidence.reference, variant)
    verdict = declared(logs, evidence.resolution)
    fields = {
        "verdict": verdict,
        "resolvable": verdict in ("faster", "slower"),
        "vs": evidence.reference,
    }
    return {"speedup": ratio(logs).to_dict() | fields}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Median time of `vs` over the variant's; no limit is decided that equal models straddle."""
    if not evidence.latency:
        return missing(evidence.untimed)
    found = ratio(evidence.log_ratios(goal.vs or evidence.reference, goal.variant))
    control = evidence.resolution
    return widened(found, control.smallest_difference, goal.limit, control.reason)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Less work, by as much as the ratio lacks."""
    found = ratio(evidence.log_ratios(goal.vs or evidence.reference, goal.variant)).value
    seconds = geometric([float(np.median(p)) for p in evidence.samples(goal.variant)]).value
    assert found is not None and seconds is not None
    wanted = seconds * found / goal.limit
    return less_work(goal, evidence, value=seconds, limit=wanted)


def widened(
    found: Estimate, smallest_difference: float | None, limit: float, reason: str = ""
) -> Estimate:
    """The bounds moved out to what the machine cannot tell, where the limit lies within that.

    Args:
        found: a ratio of times.
        smallest_difference: that the machine can tell, a fraction; None if none.
        limit: of the ratio.
        reason: why there is no smallest difference.
    """
    if found.value is None or found.low is None or found.high is None:
        return found
    if smallest_difference is None:
        return Estimate(found.value, None, None, found.confidence, reason)
    least = 1 + smallest_difference
    low, high = min(found.low, found.value / least), max(found.high, found.value * least)
    if not low < limit <= high or found.low < limit <= found.high:
        return found
    reason = f"this machine cannot tell less than {100 * (least - 1):.1f} % today"
    return Estimate(found.value, low, high, found.confidence, reason)
