"""Each variant without a pause, from idle on: what heat and power limits leave of its speed."""

from collections.abc import Sequence
from typing import Any

from compress.errors import RunnerLostError
from compress_bench.evidence import Gap, Sustained, Variant
from compress_bench.measure.bed import Advance, Bed, cut, job, lost, model, throttled

_WINDOWS = 60


def measure_sustained(
    bed: Bed, variants: Sequence[Variant], seconds: float, advance: Advance
) -> tuple[dict[str, Sustained], tuple[Gap, ...]]:
    """`seconds` of each variant, one after another, each from idle.

    Variants that the time cap leaves no time for are left out, and those whose process dies.

    Returns:
        Runs by variant, and what is missing of which.

    Raises:
        BenchError: the runner failed.
    """
    found, gaps = {}, []
    for variant in variants:
        if seconds + bed.profile.idle_seconds > bed.clock.left():
            gaps.append(cut("sustained", variant, 0, 1))
            continue
        try:
            found[variant.name] = _run_on(bed, variant, seconds, advance)
        except RunnerLostError as death:
            gaps.append(lost("sustained", variant, death))
    return found, tuple(gaps)


def sustained_job(bed: Bed, variant: Variant, seconds: float) -> dict[str, Any]:
    """One variant's job."""
    return job("sustained", bed, [model(variant)]) | {
        "seconds": seconds,
        "window_seconds": seconds / _WINDOWS,
        "idle_seconds": bed.profile.idle_seconds,
    }


def _run_on(bed: Bed, variant: Variant, seconds: float, advance: Advance) -> Sustained:
    wanted = sustained_job(bed, variant, seconds)
    window, windows = wanted["window_seconds"], []
    for event in bed.listen(wanted):
        if event["event"] == "window":
            windows.append(event)
            advance(window)
    states = [event["state"] for event in windows]
    return Sustained(
        window_seconds=window,
        medians=tuple(event["median_ns"] * 1e-9 for event in windows),
        lengths=tuple(event["seconds"] for event in windows),
        celsius=tuple(s["celsius"] for s in states if s["celsius"] is not None),
        khz=tuple(s["khz"] for s in states if s["khz"] is not None),
        throttled=throttled(states),
    )
