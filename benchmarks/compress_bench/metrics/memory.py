"""Memory that belongs to the model: peak above what Python and the libraries take."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, sentences, smaller_side
from compress_bench.remedies.partners import is_int8, quantised
from compress_bench.statistics import INTERVAL_PROCESSES, Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "size"}, measured="fresh")

_TOO_FEW = (
    f"an interval takes at least {INTERVAL_PROCESSES} fresh processes, found {{}}; "
    "give --profile standard"
)
_FIELDS = ("baseline_bytes", "peak_bytes", "model_bytes", "pss_bytes", "private_dirty_bytes")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`memory`: medians over fresh processes, in bytes; None off Linux."""
    if not evidence.fresh.get(variant):
        return unmeasured(evidence, "memory")
    medians = {field: _median(evidence, variant, field) for field in _FIELDS}
    return {"memory": medians | {"processes": len(evidence.fresh[variant])}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The model's share: geometric mean of the processes, with t on their logs."""
    if not evidence.fresh.get(goal.variant):
        return missing(evidence.untimed)
    found = [process.model_bytes for process in evidence.fresh[goal.variant]]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return missing("this system does not tell how much memory a process takes at its peak")
    # A model that adds nothing at the peak has no logarithm; a byte is as good as nothing.
    return of_fresh_processes(evidence, goal.variant, [float(max(value, 1)) for value in known])


def of_fresh_processes(evidence: Evidence, variant: str, values: Sequence[float]) -> Estimate:
    """Of one positive value per fresh process; without bounds where there are too few."""
    found, gap = geometric(values), evidence.gap("fresh", variant)
    if gap is not None:
        return replace(found, low=None, high=None, reason=gap.reason)
    if len(values) < INTERVAL_PROCESSES:
        return replace(found, reason=_TOO_FEW.format(len(values)))
    return found


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Another variant; else fewer weights or smaller activations, whichever takes more."""
    sure = another_variant(goal, evidence)
    if sure:
        return sure
    subject, found = evidence.variants[goal.variant], estimate(evidence, goal).value
    assert found is not None
    weights = min(float(subject.size_bytes), found)
    rest = found - weights
    parts = (
        f"of {show(found, 'size')} the file's weights are {show(weights, 'size')}, activations "
        f"and buffers {show(rest, 'size')}"
    )
    if rest < goal.limit and weights > goal.limit - rest and weights > rest:
        return sentences(parts, _lighter(goal, evidence, weights, rest))
    side = smaller_side(subject, max(0.0, goal.limit - weights) / rest)
    if side is None or subject.preprocessing is None:
        share = goal.limit / found
        return sentences(parts, f"take a student that needs at most {100 * share:.0f} % of both")
    before = subject.preprocessing.size[0]
    expected = show(weights + rest * (side / before) ** 2, "size")
    return sentences(
        parts, f"at --input-size {side} in place of {before} about {expected} is expected"
    )


def _lighter(goal: Goal, evidence: Evidence, weights: float, rest: float) -> str:
    subject = evidence.variants[goal.variant]
    if is_int8(subject) or quantised(evidence, goal.variant):
        share = (goal.limit - rest) / weights
        return f"take a student with at most {100 * share:.0f} % of its weights"
    expected = show(weights / 4 + rest, "size")
    return f"export it with --int8: about {expected} is expected, as weights take a quarter"


def _median(evidence: Evidence, variant: str, field: str) -> int | None:
    values = [getattr(process, field) for process in evidence.fresh[variant]]
    return None if None in values else int(np.median(values))
