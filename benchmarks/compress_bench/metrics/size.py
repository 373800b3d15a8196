"""Bytes of the file."""

from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, exact

GOAL = GoalForm(bounds={"max": "size"})


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`size_bytes`."""
    return {"size_bytes": evidence.variants[variant].size_bytes}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The file's size, which is certain."""
    return exact(evidence.variants[goal.variant].size_bytes)


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    if "int8" in goal.variant:
        return "take a smaller student: at int8 a parameter takes one byte"
    return "export with --int8, which takes about a quarter, or take a smaller student"
