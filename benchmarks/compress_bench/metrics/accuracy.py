"""Top-1 accuracy of the deployed file on this device, and what it loses to the reference."""

from typing import Any

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, from_interval, matched_difference

GOAL = GoalForm(
    bounds={"min": "share", "max_drop": "points"}, compares=("max_drop",), needs_images=True
)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`accuracy` with Wilson's interval, `accuracy_drop` paired on the same images."""
    if evidence.images is None:
        return {"accuracy": None, "accuracy_drop": None}
    drop = None
    if variant != evidence.reference:
        found = _drop(evidence, variant, evidence.reference)
        drop = found.to_dict() | {"vs": evidence.reference}
    return {
        "accuracy": _accuracy(evidence, variant).to_dict() | {"n": len(evidence.images.labels)},
        "accuracy_drop": drop,
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Accuracy, or for max_drop the accuracy of `vs` minus the variant's."""
    if goal.bound == "max_drop":
        return _drop(evidence, goal.variant, goal.vs or evidence.reference)
    return _accuracy(evidence, goal.variant)


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    if "int8" in goal.variant:
        return (
            "compare with the same student's float32 file: if that one is good enough, give "
            "export more --calibration-images; if not, train longer or take a larger student"
        )
    return "train the student longer (--epochs), or take a larger student or a better teacher"


def _accuracy(evidence: Evidence, variant: str) -> Estimate:
    right = evidence.right(variant)
    return from_interval(wilson(int(right.sum()), len(right)))


def _drop(evidence: Evidence, variant: str, vs: str) -> Estimate:
    return matched_difference(evidence.right(vs), evidence.right(variant))
