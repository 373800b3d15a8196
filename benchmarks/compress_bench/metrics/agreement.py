"""How often a variant answers as the reference does, right or wrong."""

import math
from typing import Any

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.blame import ROUNDING, float32_verdict, may_blame_int8
from compress_bench.remedies.expectations import sentences
from compress_bench.statistics import Estimate, from_interval

GOAL = GoalForm(bounds={"min": "share"}, compares=("min",), needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`agreement` of the top class with the reference's; None for the reference itself."""
    both = evidence.answered(variant, evidence.reference)
    if evidence.images is None or not both or variant == evidence.reference:
        return {"agreement": None}
    found = _agreement(evidence, variant, evidence.reference)
    return {"agreement": found.to_dict() | {"n": len(evidence.images.labels)}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Agreement with `vs`."""
    return _agreement(evidence, goal.variant, goal.vs or evidence.reference)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """How many answers must change, and what mends them: calibration, or following more closely."""
    vs = goal.vs or evidence.reference
    differ = int((evidence.predictions(goal.variant) != evidence.predictions(vs)).sum())
    images = len(evidence.predictions(vs))
    most = math.floor((1 - goal.limit) * images + ROUNDING)
    count = f"{differ:,} of {images:,} answers differ from {vs}, at most {most:,} may"
    said = float32_verdict(goal, evidence)
    if may_blame_int8(goal, evidence):
        return sentences(count, said)
    follow = "raise --kd-weight or --epochs when distilling, so that it follows more closely"
    return sentences(count, said, follow)


def _agreement(evidence: Evidence, variant: str, vs: str) -> Estimate:
    same = evidence.predictions(variant) == evidence.predictions(vs)
    return from_interval(wilson(int(same.sum()), len(same)))
