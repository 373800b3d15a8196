"""Images a second, back to back."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.remedies.expectations import another_variant, less_work, sentences
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"min": "rate"}, timed=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`throughput`: images a second."""
    if not evidence.latency:
        return unmeasured(evidence, "throughput")
    return {"throughput": _rate(evidence, variant).value}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Images a second, from each process's mean time."""
    return _rate(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Less work, more threads, or more images at a time."""
    rate = _rate(evidence, goal.variant).value
    assert rate is not None
    each, wanted = evidence.batch_size / rate, evidence.batch_size / goal.limit
    found = less_work(goal, evidence, value=each, limit=wanted, sweep_field="p50")
    if another_variant(goal, evidence) or evidence.batch_size > 1:
        return found
    return sentences(found, "or try --batch-size 8: what it gives is not known before")


def _rate(evidence: Evidence, variant: str) -> Estimate:
    if not evidence.latency:
        return missing(evidence.untimed)
    samples = evidence.samples(variant)
    return geometric([evidence.batch_size / float(np.mean(process)) for process in samples])
