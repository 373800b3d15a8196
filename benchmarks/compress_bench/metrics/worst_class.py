"""The class that a variant recognises least: a mean hides it."""

import math
from typing import Any

import numpy as np

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.blame import ROUNDING, float32_verdict
from compress_bench.remedies.expectations import sentences
from compress_bench.statistics import Estimate, from_interval

GOAL = GoalForm(bounds={"min": "share"}, needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`worst_class`: its name and accuracy, among classes that have test images."""
    if evidence.images is None or not evidence.answered(variant):
        return {"worst_class": None}
    worst, found = _worst(evidence, variant)
    return {"worst_class": {"class": evidence.images.classes[worst], "accuracy": found.value}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Accuracy of the worst class."""
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
    assert evidence.images is not None
    labels, right = evidence.images.labels, evidence.right(variant)
    present = np.unique(labels)
    accuracies = [right[labels == label].mean() for label in present]
    worst = int(present[int(np.argmin(accuracies))])
    of_class = right[labels == worst]
    return worst, from_interval(wilson(int(of_class.sum()), len(of_class)))
