"""CPU time of one inference, over all threads: what it takes from other programs and a battery."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "time"}, timed=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`cpu`: seconds an inference, and how the clock's time compares with CPU time."""
    if not evidence.latency:
        return unmeasured(evidence, "cpu")
    ratios = [process.wall_over_cpu for process in evidence.latency]
    return {
        "cpu": {
            "seconds_per_inference": _seconds(evidence, variant).to_dict(),
            "wall_over_cpu": float(np.median(ratios)),
        }
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Seconds of CPU time an inference, from one mean a process."""
    return _seconds(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Fewer threads, or less work."""
    found = estimate(evidence, goal).value
    assert found is not None
    field = "cpu_seconds_per_inference"
    return less_work(goal, evidence, value=found, limit=goal.limit, sweep_field=field)


def _seconds(evidence: Evidence, variant: str) -> Estimate:
    if not evidence.latency:
        return missing(evidence.untimed)
    return geometric([process.cpu_seconds[variant] for process in evidence.latency])
