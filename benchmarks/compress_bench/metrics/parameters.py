"""Number of weights."""

import math
from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.expectations import another_variant, show_roughly
from compress_bench.statistics import Estimate, exact, missing

GOAL = GoalForm(bounds={"max": "count"})


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`parameters`; None where the file does not say."""
    return {"parameters": evidence.variants[variant].parameters}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The number, which is certain where it is known."""
    count = evidence.variants[goal.variant].parameters
    return (
        missing("the file does not say its number of parameters") if count is None else exact(count)
    )


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Another variant, or as many channels as the limit allows."""
    count = evidence.variants[goal.variant].parameters
    assert count is not None
    share = goal.limit / count
    return another_variant(goal, evidence) or (
        f"take a smaller student: {1 / share:.3g}x too many; {math.sqrt(share):.2g} times the "
        f"channels in every layer are expected to leave about {show_roughly(goal.limit, 'count')}"
    )
