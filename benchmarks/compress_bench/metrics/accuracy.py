"""Top-1 accuracy of the deployed file on this device, and what it loses to the reference."""

from typing import Any

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.blame import calibrate_or_teach, missing_answers, split_of_drop
from compress_bench.remedies.expectations import sentences
from compress_bench.statistics import Estimate, from_interval, matched_difference

GOAL = GoalForm(
    bounds={"min": "share", "max_drop": "points"}, compares=("max_drop",), needs_images=True
)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`accuracy` with Wilson's interval, `accuracy_drop` paired on the same images."""
    if evidence.images is None or not evidence.answered(variant):
        return {"accuracy": None, "accuracy_drop": None}
    drop = None
    if variant != evidence.reference and evidence.answered(evidence.reference):
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


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Which part of the drop is the student's and which int8's, and what mends the larger."""
    reference = goal.vs or evidence.reference
    apart = goal.variant != reference
    return sentences(
        missing_answers(goal, evidence),
        split_of_drop(evidence, goal.variant, reference) if apart else "",
        calibrate_or_teach(goal, evidence),
    )


def _accuracy(evidence: Evidence, variant: str) -> Estimate:
    right = evidence.right(variant)
    return from_interval(wilson(int(right.sum()), len(right)))


def _drop(evidence: Evidence, variant: str, vs: str) -> Estimate:
    return matched_difference(evidence.right(vs), evidence.right(variant))
