"""Time of one inference, back to back."""

from dataclasses import replace
from typing import Any

import numpy as np

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.noise import throttled, upper_bounds
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, less_work, sentences
from compress_bench.statistics import FLOORS, Estimate, geometric, missing, percentile

GOAL = GoalForm(
    bounds={"max": "time"}, details=tuple(f"p{percent}" for percent in FLOORS), timed=True
)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`latency` in seconds, and the raw samples it came from."""
    if not evidence.latency:
        return unmeasured(evidence, "latency") | {"samples_seconds": []}
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


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Of p50: less work. Of a tail: p50's remedy, or what the machine does to it."""
    found, middle = estimate(evidence, goal).value, _percentile(evidence, goal.variant, 50).value
    assert found is not None and middle is not None
    if goal.detail == "p50":
        return less_work(goal, evidence, value=found, limit=goal.limit, sweep_field="p50")
    sure = another_variant(goal, evidence)
    if sure:
        return sure
    if middle > goal.limit:
        over = f"p50, {show(middle, 'time')}, is above the limit too"
        half = replace(goal, detail="p50")
        less = less_work(half, evidence, value=middle, limit=goal.limit, sweep_field="p50")
        return sentences(over, less)
    return sentences(
        f"p50, {show(middle, 'time')}, meets it and {goal.detail} is {found / middle:.3g}x that, "
        "so it is the machine that delays single inferences",
        _interruptions(evidence),
        f"with a tail of at most {goal.limit / middle:.3g}x p50 the goal is met",
    )


def _interruptions(evidence: Evidence) -> str:
    """What the kernel counted meanwhile, and what that asks for."""
    known = throttled(evidence) or upper_bounds(evidence)
    if known:
        return known
    switches = max(process.switches_per_second for process in evidence.latency)
    return (
        f"it took the processor away up to {switches:.3g} times a second: reserve a core "
        "(isolcpus, taskset), hold the clock, and leave a core to the rest of the system"
    )


def _percentile(evidence: Evidence, variant: str, percent: int) -> Estimate:
    """p50: geometric mean of the processes' medians with t; others: order statistics, pooled."""
    if not evidence.latency:
        return missing(evidence.untimed)
    samples = evidence.samples(variant)
    if percent == 50:
        return geometric([float(np.median(process)) for process in samples])
    return percentile(samples, percent)
