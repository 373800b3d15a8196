"""Bytes of the file."""

from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, sentences, show_roughly
from compress_bench.remedies.partners import is_int8, quantised
from compress_bench.statistics import Estimate, exact

GOAL = GoalForm(bounds={"max": "size"})


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`size_bytes`."""
    return {"size_bytes": evidence.variants[variant].size_bytes}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The file's size, which is certain."""
    return exact(evidence.variants[goal.variant].size_bytes)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Another variant, int8, or as many weights as the limit allows."""
    sure = another_variant(goal, evidence)
    if sure:
        return sure
    subject = evidence.variants[goal.variant]
    over = f"{subject.size_bytes / goal.limit:.3g}x too large"
    if subject.parameters is None:
        share = goal.limit / subject.size_bytes
        return f"{over}: take a student with at most {100 * share:.0f} % of its weights"
    each = subject.size_bytes / subject.parameters
    allowed = show_roughly(goal.limit / each, "count")
    return sentences(
        f"{over}: at its {each:.3g} bytes a parameter the limit allows {allowed} of its "
        f"{show(subject.parameters, 'count')} parameters",
        _as_int8(goal, evidence),
    )


def _as_int8(goal: Goal, evidence: Evidence) -> str:
    """What int8 is expected to leave of a float32 file: a byte in place of four."""
    subject = evidence.variants[goal.variant]
    if is_int8(subject) or quantised(evidence, goal.variant) or subject.parameters is None:
        return "take a smaller student"
    expected = max(subject.size_bytes - 3 * subject.parameters, subject.parameters)
    enough = "meets it" if expected <= goal.limit else "is not enough alone"
    return f"export it with --int8: about {show(expected, 'size')} is expected, which {enough}"
