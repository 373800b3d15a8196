"""What would help, and by how much: the reasoning that remedies share.

What was measured here is said as such. What follows from it by a rule is called expected.
Multiply-adds follow the pixels and the square of the channels; weights take four bytes in float
and one in integers. Time, energy and instructions fall more slowly than the multiply-adds, since
each operator has a share of its own: networks of 28 to 224 pixels that were made smaller took
between side and pixels in proportion, so both are given, and the middle is what has to fit.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from compress_bench.evidence import Evidence, Variant
from compress_bench.graph.layer_table import LayerTable, lay_out
from compress_bench.metrics import Goal, load_metric
from compress_bench.quantities import Quantity, show
from compress_bench.remedies.partners import is_int8, quantised, unquantised
from compress_bench.statistics import Estimate, matched_difference
from compress_bench.verdict.limits import within

_LEAST_SIDE = 8  # pixels; and no less than half of what it is
_MIDDLE = 1.5  # power of the side, between its own and the pixels'
_WORTH_NAMING = 0.15  # share of the time from which a module is worth a sentence


def sentences(*parts: str) -> str:
    """Those that say anything, in one line."""
    return "; ".join(part for part in parts if part)


def quantity_of(goal: Goal) -> Quantity:
    """The kind of number that its limit is."""
    form = load_metric(goal.metric).GOAL
    assert form is not None
    return form.bounds[goal.bound]


# ------------------------------------------------------------------------------------ measured


def another_variant(goal: Goal, evidence: Evidence) -> str:
    """A variant of this very bench that meets the goal, with what it loses; empty without one."""
    met = [name for name, found in _others(goal, evidence) if _meets(goal, found)]
    if not met:
        return ""
    answered = [name for name in met if evidence.answered(name)]
    if answered:
        met = sorted(answered, key=lambda name: -float(evidence.right(name).mean()))
    found = load_metric(goal.metric).estimate(evidence, replace(goal, variant=met[0]))
    assert found.value is not None
    value = show(found.value, quantity_of(goal))
    loss = _loss(evidence, goal.variant, met[0])
    return f"deploy {met[0]}: measured here at {value}, it meets the limit{loss}"


def _others(goal: Goal, evidence: Evidence) -> Iterator[tuple[str, Estimate]]:
    """Other variants, held against the same limit; a baseline is the student, less well taught."""
    form = load_metric(goal.metric).GOAL
    assert form is not None
    compared = {goal.vs or evidence.reference} if goal.bound in form.compares else set()
    for name, variant in evidence.variants.items():
        if name != goal.variant and name not in compared and variant.role != "baseline":
            yield name, load_metric(goal.metric).estimate(evidence, replace(goal, variant=name))


def _meets(goal: Goal, found: Estimate) -> bool:
    return within(goal.bound, goal.limit, found) == "pass"


def _loss(evidence: Evidence, instead_of: str, variant: str) -> str:
    if not evidence.answered(instead_of, variant):
        return ""
    lost = matched_difference(evidence.right(instead_of), evidence.right(variant))
    assert lost.value is not None
    if lost.value == 0:
        return " (its accuracy is the same)"
    word = "lower" if lost.value > 0 else "higher"
    return f" (its accuracy is {show(abs(lost.value), 'points')} {word})"


def other_threads(goal: Goal, evidence: Evidence, field: str, limit: float) -> str:
    """Another setting of the sweep that keeps a time within a limit; empty without one.

    Args:
        goal: whose variant is meant.
        evidence: with or without a sweep.
        field: of the sweep's rows, an estimate in seconds: "p50" or of CPU time.
        limit: seconds.
    """
    own = evidence.variants[goal.variant].threads
    rows = [row for row in evidence.sweep.get("rows", ()) if row["variant"] == goal.variant]
    known = [row for row in rows if row[field] is not None and row[field]["high"] is not None]
    other = [row for row in known if row["threads"] != own or row["spinning"]]
    met = [row for row in other if row[field]["high"] <= limit]
    if not met:
        return ""
    best = min(met, key=lambda row: (row["threads"], row[field]["value"]))
    spinning = ", spinning" if best["spinning"] else ""
    return (
        f"give --threads {best['threads']}{spinning}: the sweep measured "
        f"{show(best[field]['value'], 'time')} there, which meets it"
    )


def more_threads(variant: Variant, evidence: Evidence, value: float, limit: float) -> str:
    """What all cores could give at best, where that would be enough and no sweep has tried."""
    cores = evidence.cores
    if evidence.sweep or cores <= variant.threads or value * variant.threads / cores > limit:
        return ""
    best = show(value * variant.threads / cores, "time")
    return f"give --threads {cores} or --sweep: at best {best} is expected, if all of it divides"


# ------------------------------------------------------------------------------------ expected


def less_work(
    goal: Goal, evidence: Evidence, *, value: float, limit: float, sweep_field: str = ""
) -> str:
    """What brings down a cost that follows the work, the surest first.

    Args:
        goal: which is missed.
        evidence: what was measured.
        value: the cost: time, energy or instructions.
        limit: what it may be, less than that; in the value's unit, which may not be the goal's.
        sweep_field: of the sweep's rows, where threads change this cost.
    """
    threads = other_threads(goal, evidence, sweep_field, limit) if sweep_field else ""
    sure = another_variant(goal, evidence) or threads
    if sure:
        return sure
    quantity = quantity_of(goal) if goal.bound == "max" else "time"
    word = "slow" if quantity == "time" else "much"
    subject = evidence.variants[goal.variant]
    timed = quantity == "time"
    islands = float_islands(evidence, goal.variant, value, limit) if timed else ""
    return sentences(
        f"{value / limit:.3g}x too {word}",
        other_precision(goal, evidence),
        islands,
        more_threads(subject, evidence, value, limit) if sweep_field == "p50" else "",
        smaller_student(evidence, goal.variant, value, limit, quantity),
        slowest_module(evidence, goal.variant, value) if timed else "",
    )


def smaller_student(
    evidence: Evidence, variant: str, value: float, limit: float, quantity: Quantity
) -> str:
    """How much less work the limit allows, and the input's size at which that is reached.

    Args:
        evidence: with the variant's multiply-adds, if they could be counted.
        variant: which misses its limit.
        value: what it costs: time, energy or instructions, which follow the work.
        limit: what it may cost, less than that.
        quantity: of both.
    """
    subject = evidence.variants[variant]
    return sentences(
        _allowed(subject, value, limit, quantity), fewer_pixels(subject, value, limit, quantity)
    )


def _allowed(subject: Variant, value: float, limit: float, quantity: Quantity) -> str:
    if subject.macs is None:
        share = limit / value
        return f"take a student with at most {100 * share:.0f} % of its work"
    rate = ""
    if quantity == "time":
        rate = f"at this file's measured rate of {subject.macs / value / 1e9:.3g} GMAC/s "
    allowed = show_roughly(subject.macs * limit / value, "count")
    return (
        f"{rate}the limit allows {allowed} multiply-adds of its "
        f"{show_roughly(subject.macs, 'count')}: take a smaller student"
    )


def fewer_pixels(subject: Variant, value: float, limit: float, quantity: Quantity) -> str:
    """The input's size at which a cost that falls with the work keeps a limit; else channels."""
    side = smaller_side(subject, limit / value, power=_MIDDLE)
    if side is None or subject.preprocessing is None:
        share = (limit / value) ** (1 / _MIDDLE)
        return f"{share:.2g} times the channels in every layer are expected to be enough"
    before = subject.preprocessing.size[0]
    low, high = (show_roughly(value * (side / before) ** power, quantity) for power in (2, 1))
    return f"at --input-size {side} in place of {before} {low} to {high} is expected"


def show_roughly(value: float, quantity: Quantity) -> str:
    """With three digits: what is reckoned has no more."""
    return show(float(f"{value:.3g}"), quantity)


def smaller_side(subject: Variant, share: float, power: float = 2) -> int | None:
    """Height and width that keep at most a share of a cost; None: too few, or unknown.

    Down to multiples of four, which networks with strides divide well.

    Args:
        subject: whose input.
        share: of the cost.
        power: of the side that the cost follows; 2 are the pixels.
    """
    if subject.preprocessing is None:
        return None
    height, width = subject.preprocessing.size
    side = math.floor(height * math.pow(share, 1 / power))
    side -= side % 4 if side >= 16 else 0
    if height != width or side < max(_LEAST_SIDE, height / 2):
        return None
    return side


def slowest_module(evidence: Evidence, variant: str, value: float) -> str:
    """The module that takes longest, and what half of its channels would save of `value` seconds.

    By shares: the profiler's own time lengthens each operator.
    """
    table = _table(evidence, variant)
    computing = [row for row in table.rows if row.kind in ("integer", "float")] if table else []
    if not computing:
        return ""
    row = max(computing, key=lambda row: row.seconds)
    if row.share < _WORTH_NAMING:
        return ""
    return (
        f"module {row.module} takes {100 * row.share:.0f} % of it, about "
        f"{show_roughly(value * row.share, 'time')}: half of its channels would save about "
        f"{show_roughly(value * row.share / 2, 'time')} (expected)"
    )


def float_islands(evidence: Evidence, variant: str, value: float, limit: float) -> str:
    """What float work within an integer network costs, and what is left without it."""
    table = _table(evidence, variant)
    if not table or not table.islands:
        return ""
    share = sum(island.share for island in table.islands)
    largest = table.islands[0]
    left = value * (1 - share)
    enough = "which meets it" if left <= limit else "which is not enough"
    return (
        f"float islands take {100 * share:.0f} % of it, most at {largest.module} "
        f"({' and '.join(largest.operators)}): without them about {show(left, 'time')} is "
        f"expected, {enough}; take operators that have an integer form there"
    )


def _table(evidence: Evidence, variant: str) -> LayerTable | None:
    profiled = evidence.profiles.get(variant)
    return None if profiled is None else lay_out(profiled)


def other_precision(goal: Goal, evidence: Evidence) -> str:
    """What the same network measures in int8, if that was tried; of int8, in float32 if better."""
    int8 = is_int8(evidence.variants[goal.variant])
    find = unquantised if int8 else quantised
    partner = find(evidence, goal.variant)
    if partner is None:
        return "" if int8 else f"export it with --int8{_int8_gain(evidence)}"
    if partner == goal.vs:
        return ""
    estimate = load_metric(goal.metric).estimate
    found = estimate(evidence, replace(goal, variant=partner))
    own = estimate(evidence, goal).value
    if found.value is None or own is None:
        return ""
    better = found.value > own if goal.bound == "min" else found.value < own
    if int8 and not better:
        return ""
    missed = within(goal.bound, goal.limit, found) == "fail"
    enough = "not enough either" if missed else "too close to the limit to tell"
    return f"{partner} measures {show(found.value, quantity_of(goal))}, which is {enough}"


def _int8_gain(evidence: Evidence) -> str:
    """How much faster another network of this bench became; what it does here is else unknown."""
    for name, variant in evidence.variants.items() if evidence.latency else ():
        partner = quantised(evidence, name)
        if partner is not None and not is_int8(variant):
            gain = float(np.exp(evidence.log_ratios(name, partner).mean()))
            return f", which made {name} {gain:.2g}x faster here"
    return " and measure that: how much it gives depends on the processor"
