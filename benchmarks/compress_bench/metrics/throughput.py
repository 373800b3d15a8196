"""Images a second, back to back."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, geometric

GOAL = GoalForm(bounds={"min": "rate"})


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`throughput`: images a second."""
    return {"throughput": _rate(evidence, variant).value}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Images a second, from each process's mean time."""
    return _rate(evidence, goal.variant)


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    return "try a larger --batch-size or more --threads, or take a smaller student"


def _rate(evidence: Evidence, variant: str) -> Estimate:
    samples = evidence.samples(variant)
    return geometric([evidence.batch_size / float(np.mean(process)) for process in samples])
