"""The class that a variant recognises least: a mean hides it."""

import math
from typing import Any

import numpy as np

from compress.intervals import CONFIDENCE, wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.blame import ROUNDING, float32_verdict
from compress_bench.remedies.expectations import sentences
from compress_bench.statistics import Estimate

GOAL = GoalForm(bounds={"min": "share"}, needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`worst_class`: its name and accuracy, among classes that have test images."""
    if evidence.images is None or not evidence.answered(variant):
        return {"worst_class": None}
    worst, found = _worst(evidence, variant)
    return {"worst_class": {"class": evidence.images.classes[worst], "accuracy": found.value}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Accuracy of the class that is in truth the worst."""
    return _worst(evidence, goal.variant)[1]


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Which class, what it is taken for, and how many more answers must be right."""
    assert evidence.images is not None
    worst, _ = _worst(evidence, goal.variant)
    chosen = evidence.images.labels == worst
    right = int(evidence.right(goal.variant)[chosen].sum())
    wrong = evidence.predictions(goal.variant)[chosen & ~evidence.right(goal.variant)]
    values, counts = np.unique(wrong, return_counts=True)
    names, most = evidence.images.classes, int(counts.argmax())
    needed = math.ceil(goal.limit * int(chosen.sum()) - ROUNDING) - right
    return sentences(
        f"{names[worst]} is taken for {names[int(values[most])]} in {counts[most]} of "
        f"{chosen.sum()} images: {needed} more of them right and the goal is met; give training "
        "more images of both, and look at those that differ",
        float32_verdict(goal, evidence),
    )


def _worst(evidence: Evidence, variant: str) -> tuple[int, Estimate]:
    """The class with the least accuracy here, and bounds for the least of all classes.

    The worst class was picked by its answers, so that its own interval would be too low. Each
    class has Wilson's interval at a level at which all of them hold together with the wanted
    confidence (Bonferroni); then the least accuracy is between the least lower bound and the
    least upper one.
    """
    assert evidence.images is not None
    labels, right = evidence.images.labels, evidence.right(variant)
    present = np.unique(labels)
    level = 1 - (1 - CONFIDENCE) / len(present)
    classes = [right[labels == label] for label in present]
    found = [wilson(int(answers.sum()), len(answers), level) for answers in classes]
    value, low, high = (
        min(getattr(interval, side) for interval in found) for side in ("value", "low", "high")
    )
    worst = next(i for i, interval in enumerate(found) if interval.value == value)
    return int(present[worst]), Estimate(value, low, high)
