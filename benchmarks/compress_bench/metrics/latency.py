"""Time of one inference, back to back."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import FLOORS, Estimate, geometric, percentile

GOAL = GoalForm(bounds={"max": "time"}, details=tuple(f"p{percent}" for percent in FLOORS))


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`latency` in seconds, and the raw samples it came from."""
    per_process = evidence.samples(variant)
    pooled = np.concatenate(per_process)
    fields: dict[str, Any] = {"n": len(pooled), "unit": "seconds"}
    for percent in FLOORS:
        found = _percentile(evidence, variant, percent)
        fields[f"p{percent}"] = None if found.value is None else found.to_dict()
        if found.value is None:
            fields[f"p{percent}_reason"] = found.reason
    fields |= {
        "mean": float(pooled.mean()),
        "min": float(pooled.min()),
        "max": float(pooled.max()),
    }
    return {"latency": fields, "samples_seconds": evidence.raw_samples(variant)}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The percentile that the goal names."""
    return _percentile(evidence, goal.variant, int(goal.detail.removeprefix("p")))


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    if goal.detail != "p50":
        return (
            "the tail is the machine's as much as the model's: stop other programs, then "
            "look whether p50 meets the limit"
        )
    if "int8" in goal.variant:
        return "take a smaller student, or a smaller --input-size, which costs time quadratically"
    return "export with --int8, or take a smaller student or a smaller --input-size"


def _percentile(evidence: Evidence, variant: str, percent: int) -> Estimate:
    """p50: geometric mean of the processes' medians with t; others: order statistics, pooled."""
    samples = evidence.samples(variant)
    if percent == 50:
        return geometric([float(np.median(process)) for process in samples])
    return percentile(samples, percent)
