"""The class that a variant recognises least: a mean hides it."""

from typing import Any

import numpy as np

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, from_interval

GOAL = GoalForm(bounds={"min": "share"}, needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`worst_class`: its name and accuracy, among classes that have test images."""
    if evidence.images is None:
        return {"worst_class": None}
    worst, found = _worst(evidence, variant)
    return {"worst_class": {"class": evidence.images.classes[worst], "accuracy": found.value}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Accuracy of the worst class."""
    return _worst(evidence, goal.variant)[1]


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    return "look at the class's images and at the confusion matrix; it may need more or better ones"


def _worst(evidence: Evidence, variant: str) -> tuple[int, Estimate]:
    assert evidence.images is not None
    labels, right = evidence.images.labels, evidence.right(variant)
    present = np.unique(labels)
    accuracies = [right[labels == label].mean() for label in present]
    worst = int(present[int(np.argmin(accuracies))])
    of_class = right[labels == worst]
    return worst, from_interval(wilson(int(of_class.sum()), len(of_class)))
