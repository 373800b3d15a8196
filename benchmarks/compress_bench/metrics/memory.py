"""Memory that belongs to the model: peak above what Python and the libraries take."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate, missing

GOAL = GoalForm(bounds={"max": "size"})

_FIELDS = ("baseline_bytes", "peak_bytes", "model_bytes")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`memory`: medians over fresh processes, in bytes; None off Linux."""
    medians = {field: _median(evidence, variant, field) for field in _FIELDS}
    return {"memory": medians | {"processes": len(evidence.fresh[variant])}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The model's share, bounded by the smallest and the largest process."""
    found = [process.model_bytes for process in evidence.fresh[goal.variant]]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return missing("this system does not tell how much memory a process takes at its peak")
    return Estimate(float(np.median(known)), min(known), max(known), 1.0)


def remedy(goal: Goal) -> str:
    """What to do when the goal is missed."""
    return "take a student with smaller activations (a smaller --input-size), or export with --int8"


def _median(evidence: Evidence, variant: str, field: str) -> int | None:
    values = [getattr(process, field) for process in evidence.fresh[variant]]
    return None if None in values else int(np.median(values))
