"""How many times faster than another variant: paired, within rounds that saw the same machine."""

from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, is_resolvable, ratio

GOAL = GoalForm(bounds={"min": "ratio"}, details=("p50",), compares=("min",))


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`speedup` of medians over the reference; None for the reference itself."""
    if variant == evidence.reference:
        return {"speedup": None}
    logs = evidence.log_ratios(evidence.reference, variant)
    verdict = {
        "resolvable": is_resolvable(logs, evidence.resolution),
        "vs": evidence.reference,
    }
    return {"speedup": ratio(logs).to_dict() | verdict}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Median time of `vs` over the variant's."""
    return ratio(evidence.log_ratios(goal.vs or evidence.reference, goal.variant))


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    if "int8" in goal.variant:
        return "take a smaller student; int8 gains little where the processor has no dot product"
    return "export with --int8, or take a smaller student"
