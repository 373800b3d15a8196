"""Each variant alone in fresh processes: memory and cold start."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compress_bench.evidence import FreshProcess, Gap, Variant
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Advance, Bed, cut, job, model, not_finite


def measure_fresh(
    bed: Bed, variants: Sequence[Variant], advance: Advance
) -> tuple[dict[str, tuple[FreshProcess, ...]], tuple[Gap, ...]]:
    """Each variant alone in fresh processes, in an order shuffled anew each time.

    Every variant has one; the time cap may leave out further ones, which are told as gaps.

    Raises:
        BenchError: the runner failed, or a variant's output for an image is not finite.
    """
    found: dict[str, list[FreshProcess]] = {variant.name: [] for variant in variants}
    for variant, wanted in fresh_jobs(bed, variants):
        if found[variant.name] and not bed.clock.left():
            continue
        heard = {event["event"]: event for event in bed.listen(wanted)}
        found[variant.name].append(_fresh_process(variant, heard))
        advance(1)
    gaps = tuple(
        cut("fresh", variant, len(found[variant.name]), bed.profile.fresh)
        for variant in variants
        if len(found[variant.name]) < bed.profile.fresh
    )
    return {name: tuple(processes) for name, processes in found.items()}, gaps


def fresh_jobs(bed: Bed, variants: Sequence[Variant]) -> Iterator[tuple[Variant, dict[str, Any]]]:
    """All jobs of it in turn, and whose each is."""
    order = random.Random(bed.seed)  # noqa: S311
    for _ in range(bed.profile.fresh):
        for variant in order.sample(list(variants), len(variants)):
            yield variant, job("memory", bed, [model(variant)])


def _fresh_process(variant: Variant, events: Mapping[str, Event]) -> FreshProcess:
    hello, memory = events["hello"], events["memory"]
    # Of what other inputs mean nothing is known: random numbers may be none that they take.
    if not memory["finite"] and variant.preprocessing is not None:
        raise not_finite(variant, "random pixels")
    return FreshProcess(
        baseline_bytes=memory["baseline_bytes"],
        peak_bytes=memory["peak_bytes"],
        model_bytes=memory["model_bytes"],
        pss_bytes=memory["pss_bytes"],
        private_dirty_bytes=memory["private_dirty_bytes"],
        python_seconds=hello["python_seconds"],
        import_numpy_seconds=hello["import_numpy_seconds"],
        import_runtime_seconds=hello["import_runtime_seconds"],
        session_seconds=events["session"]["seconds"],
        first_seconds=memory["first_seconds"],
        second_seconds=memory["second_seconds"],
        finite=memory["finite"],
    )


def say_not_finite(fresh: Mapping[str, Sequence[FreshProcess]]) -> tuple[str, ...]:
    """A sentence for each variant whose outputs were not numbers."""
    return tuple(
        f"{name}: its outputs held NaN or infinity for what it was fed; its times may differ from "
        "those of real inputs"
        for name, processes in fresh.items()
        if not all(process.finite for process in processes)
    )
