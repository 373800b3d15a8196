"""Which share of a loss is the student's and which is int8's, on the same images."""

import math
from dataclasses import replace

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, load_metric
from compress_bench.quantities import show
from compress_bench.remedies.expectations import sentences
from compress_bench.remedies.partners import is_int8, unquantised
from compress_bench.statistics import Estimate, matched_difference
from compress_bench.verdict.limits import within

ROUNDING = 1e-9  # of limits such as 0.95, which no binary number is
_CALIBRATE = "give export --calibration auto and more --calibration-images"


def float32_verdict(goal: Goal, evidence: Evidence) -> str:
    """What the same network's float32 file measures on the goal; empty for one that is float."""
    partner = _float32(evidence, goal.variant)
    if partner is None:
        return ""
    found = load_metric(goal.metric).estimate(evidence, replace(goal, variant=partner))
    form = load_metric(goal.metric).GOAL
    assert form is not None
    if found.value is None:
        return ""
    said = f"{partner} in float32 measures {show(found.value, form.bounds[goal.bound])}"
    verdicts = {
        "pass": f"which meets it: deploy that file, or {_CALIBRATE}",
        "inconclusive": f"which these images cannot decide: {_CALIBRATE}",
        "fail": "which does not meet it either",
    }
    return f"{said}, {verdicts[within(goal.bound, goal.limit, found)]}"


def may_blame_int8(goal: Goal, evidence: Evidence) -> bool:
    """Whether the same network in float32 does not clearly miss the limit too."""
    partner = _float32(evidence, goal.variant)
    if partner is None:
        return False
    found = load_metric(goal.metric).estimate(evidence, replace(goal, variant=partner))
    return within(goal.bound, goal.limit, found) != "fail"


def split_of_drop(evidence: Evidence, variant: str, reference: str) -> str:
    """The accuracy lost against the reference, in two parts where both files were measured."""
    whole = matched_difference(evidence.right(reference), evidence.right(variant))
    partner = _float32(evidence, variant)
    assert whole.value is not None
    if partner is None or partner == reference or whole.value <= 0:
        return ""
    student = matched_difference(evidence.right(reference), evidence.right(partner))
    int8 = matched_difference(evidence.right(partner), evidence.right(variant))
    return (
        f"of the drop of {_points(whole)} against {reference}, {_between(student)} is "
        f"{partner}'s and {_between(int8)} int8's"
    )


def teach_better(evidence: Evidence, variant: str) -> str:
    """What training can do, with what the teacher has given so far."""
    advice = "train longer (--epochs), or take a larger student or a better teacher"
    baseline = next((n for n, v in evidence.variants.items() if v.role == "baseline"), None)
    if baseline is None or baseline == variant or not evidence.answered(baseline):
        return advice
    help_ = matched_difference(evidence.right(variant), evidence.right(baseline))
    assert help_.value is not None
    word = "gained" if help_.value >= 0 else "lost"
    return (
        f"{advice}; distilling has {word} {_between(help_, absolute=True)} over {baseline} so far"
    )


def missing_answers(goal: Goal, evidence: Evidence) -> str:
    """How many more images must be answered right."""
    found = load_metric(goal.metric).estimate(evidence, goal)
    assert found.value is not None
    images = len(evidence.right(goal.variant))
    needed = math.ceil(abs(found.value - goal.limit) * images - ROUNDING)
    return f"{needed:,} more of {images:,} images must be right"


def calibrate_or_teach(goal: Goal, evidence: Evidence) -> str:
    """The float32 file's figure and what follows, or how to train better."""
    said = float32_verdict(goal, evidence)
    if may_blame_int8(goal, evidence):
        return said
    return sentences(said, teach_better(evidence, goal.variant))


def _float32(evidence: Evidence, variant: str) -> str | None:
    """The float32 form of an int8 file, if that has answered the images too."""
    partner = unquantised(evidence, variant) if is_int8(evidence.variants[variant]) else None
    return partner if partner is not None and evidence.answered(partner) else None


def _points(found: Estimate) -> str:
    assert found.value is not None
    return show(found.value, "points")


def _between(found: Estimate, *, absolute: bool = False) -> str:
    assert found.value is not None
    sign = -1 if absolute and found.value < 0 else 1
    value = show(sign * found.value, "points")
    if found.low is None or found.high is None:
        return value
    low, high = sorted((sign * found.low, sign * found.high))
    return f"{value} ({show(low, 'points')} to {show(high, 'points')})"
