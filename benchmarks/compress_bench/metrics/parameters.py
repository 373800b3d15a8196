"""Number of weights."""

from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
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


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    return "take a smaller student"
