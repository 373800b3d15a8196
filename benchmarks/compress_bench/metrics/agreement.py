"""How often a variant answers as the reference does, right or wrong."""

from typing import Any

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, from_interval

GOAL = GoalForm(bounds={"min": "share"}, compares=("min",), needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`agreement` of the top class with the reference's; None for the reference itself."""
    if evidence.images is None or variant == evidence.reference:
        return {"agreement": None}
    found = _agreement(evidence, variant, evidence.reference)
    return {"agreement": found.to_dict() | {"n": len(evidence.images.labels)}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Agreement with `vs`."""
    return _agreement(evidence, goal.variant, goal.vs or evidence.reference)


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    return "raise --kd-weight or --epochs when distilling, so that the student follows more closely"


def _agreement(evidence: Evidence, variant: str, vs: str) -> Estimate:
    same = evidence.predictions(variant) == evidence.predictions(vs)
    return from_interval(wilson(int(same.sum()), len(same)))
