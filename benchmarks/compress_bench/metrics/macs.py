"""Multiply-adds of one image: what a network asks of any machine."""

import math
from typing import Any

from compress_bench.evidence import Evidence, Variant
from compress_bench.metrics import Goal, GoalForm
from compress_bench.metrics.layers import why_not
from compress_bench.remedies.expectations import (
    another_variant,
    sentences,
    show_roughly,
    smaller_side,
)
from compress_bench.statistics import Estimate, exact, missing

GOAL = GoalForm(bounds={"max": "count"})


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`macs`; None with the reason where they could not be counted."""
    count = evidence.variants[variant].macs
    if count is None:
        return {"macs": None, "macs_reason": _why_not(evidence, variant)}
    return {"macs": count}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """The number, which is certain where it is known."""
    count = evidence.variants[goal.variant].macs
    return missing(_why_not(evidence, goal.variant)) if count is None else exact(count)


def _why_not(evidence: Evidence, variant: str) -> str:
    if evidence.untimed:
        return "no inference of the file as it is could be counted"
    profiled = evidence.profiles.get(variant)
    return profiled.macs.reason if profiled is not None else why_not(evidence, variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Another variant, or the input and the channels that the limit allows."""
    subject = evidence.variants[goal.variant]
    assert subject.macs is not None
    share = goal.limit / subject.macs
    return another_variant(goal, evidence) or sentences(
        f"{1 / share:.3g}x too many", _smaller(subject, share)
    )


def _smaller(subject: Variant, share: float) -> str:
    side = smaller_side(subject, share)
    if side is None or subject.preprocessing is None or subject.macs is None:
        return f"{math.sqrt(share):.2g} times the channels in every layer are expected to be enough"
    before = subject.preprocessing.size[0]
    expected = show_roughly(subject.macs * (side / before) ** 2, "count")
    return f"at --input-size {side} in place of {before} about {expected} are expected"
