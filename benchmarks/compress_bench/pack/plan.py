"""The jobs that a bench would put to the runner, written down for a board that has no bench.

What bench decides while it measures (is there time left, did the one before work, does this machine
count at all) stands beside each job as a condition that the board decides by.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compress_bench.evidence import Variant
from compress_bench.graph.layers import macs_job, profile_job
from compress_bench.measure.bed import Bed, job, model
from compress_bench.measure.counts import count_job
from compress_bench.measure.files import inspect_job
from compress_bench.measure.fresh import fresh_jobs
from compress_bench.measure.latency import SPARE, latency_job, latency_models
from compress_bench.measure.layers import ONNXRUNTIME
from compress_bench.measure.paced import paced_job, paced_turns
from compress_bench.measure.predictions import predict_job
from compress_bench.measure.sustained import sustained_job
from compress_bench.subjects.bundle import Subjects

Step = dict[str, Any]
Key = dict[str, Any]

_START = 1.0  # seconds for Python, numpy, onnxruntime and a model on a small board
_A_FEW = {"rows": 8, "budget_seconds": 10.0}  # an emulator takes hundreds of times as long
_ONCE = {"warm_up_runs": 0}  # the first inference shows the operators as well as any
_COUNTS = 2.0  # seconds of counted inferences and of a meter's, and a few before


def key_of(wanted: Mapping[str, Any]) -> Key:
    """What tells a job from the others of one bench."""
    return {
        "kind": wanted["kind"],
        "variants": [entry["variant"] for entry in wanted["models"]],
        "seed": wanted.get("seed"),
        "optimization": wanted.get("optimization"),
        "runs": wanted.get("runs"),
    }


def make_plan(
    bed: Bed, found: Subjects, *, fps: float | None, golden: Path, checked: Sequence[str]
) -> list[Step]:
    """Every job of one bench, in bench's order, after those of the self-check.

    Args:
        bed: how it is measured.
        found: what is measured.
        fps: frames a second, or None.
        golden: inputs and outputs that export wrote.
        checked: variants that have some.

    Returns:
        Steps: a job, its key, and conditions; see `_step`.
    """
    variants = found.variants
    files = {variant.name: variant.path for variant in variants}
    steps = [_step(inspect_job(files, {}), always=True)]
    steps += [
        _step(job("outputs", bed, [model(v)]) | {"golden": str(golden.resolve())}, always=True)
        for v in variants
        if v.name in checked
    ]
    # Looked at again with times, if the time suffices; what is computed in integers has to be told.
    steps += [
        _step(profile_job(job("layers", bed, [model(v)]), runs=1) | _ONCE, always=True)
        for v in variants
        if v.runtime == ONNXRUNTIME
    ]
    if found.images is not None:
        answering = [variant for variant in variants if not variant.no_answers]
        wanted = predict_job(bed, answering, found.images.path)
        steps.append(_step(wanted, always=True, seconds=3 * _START, played=_A_FEW))
    steps += _fresh(bed, variants)
    steps += _latency(bed, variants, found.reference)
    steps += [] if fps is None else _paced(bed, variants, fps)
    steps += _sustained(bed, variants)
    steps += _layers(bed, variants)
    steps += _counts(bed, variants)
    return steps


def _step(  # noqa: PLR0913 - the conditions
    wanted: Mapping[str, Any],
    *,
    always: bool = False,
    seconds: float = _START,
    least_seconds: float = 0.0,
    share: int | None = None,
    processes: int | None = None,
    after: str = "",
    timed: bool = False,
    played: Mapping[str, float] | None = None,
) -> Step:
    """A job with what the board decides by.

    Args:
        wanted: the job.
        always: done even when the time is up, as no report is made without it.
        seconds: a guess, for the time that remains.
        least_seconds: that must be left.
        share: its budget is the time that is left, divided by this.
        processes: as many of this kind must finish; the rest takes the place of lost ones.
        after: "done": only if the one before was; "counted": only if that one could count;
            "counted or lost": or died in trying.
        timed: whether it measures nothing but time and memory, which mean nothing if emulated.
        played: what the job holds besides where the processor is emulated.
    """
    return {
        "key": key_of(wanted),
        "job": dict(wanted),
        "always": always,
        "seconds": seconds,
        "least_seconds": least_seconds,
        "share": share,
        "processes": processes,
        "after": after,
        "timed": timed,
        "played": dict(played or {}),
    }


def _fresh(bed: Bed, variants: Sequence[Variant]) -> Iterator[Step]:
    for index, (_, wanted) in enumerate(fresh_jobs(bed, variants)):
        yield _step(wanted, always=index < len(variants), timed=True)


def _latency(bed: Bed, variants: Sequence[Variant], reference: str) -> Iterator[Step]:
    models, profile = latency_models(variants, reference), bed.profile
    guess = profile.warm_up_seconds + 1.5 * profile.rounds * profile.block_seconds
    for index in range(profile.processes + SPARE):
        yield _step(
            latency_job(bed, models, index, 1),
            always=index == 0,
            seconds=_START + len(models) * guess,
            processes=profile.processes,
            timed=True,
        )


def _paced(bed: Bed, variants: Sequence[Variant], fps: float) -> Iterator[Step]:
    seconds = bed.profile.frames / fps
    for index, variant in paced_turns(bed, variants):
        yield _step(
            paced_job(bed, variant, fps, index),
            seconds=_START + bed.profile.warm_up_seconds + seconds,
            least_seconds=seconds,
            timed=True,
        )


def _sustained(bed: Bed, variants: Sequence[Variant]) -> Iterator[Step]:
    seconds, idle = bed.profile.sustained_seconds, bed.profile.idle_seconds
    for variant in variants if seconds is not None else ():
        assert seconds is not None
        wanted = sustained_job(bed, variant, seconds)
        needed = seconds + idle
        yield _step(wanted, seconds=_START + needed, least_seconds=needed, timed=True)


def _layers(bed: Bed, variants: Sequence[Variant]) -> Iterator[Step]:
    for variant in variants:
        if variant.runtime == ONNXRUNTIME:
            wanted = profile_job(job("layers", bed, [model(variant)]))
            yield _step(wanted, seconds=2 * _START, timed=True)
            yield _step(macs_job(wanted), after="done", timed=True)


def _counts(bed: Bed, variants: Sequence[Variant]) -> Iterator[Step]:
    planned = bed.profile.counting
    for number, variant in enumerate(variants):
        for index in range(planned):
            # Not "auto", which names what bench could do instead.
            wanted = count_job(bed, variant, "perf", index, planned)
            after = "counted" if index else "counted or lost" if number else ""
            yield _step(
                wanted,
                always=index == 0,  # bench asks each file once, to know whether it can
                seconds=_START + _COUNTS,
                share=planned - index,
                after=after,
                timed=True,
            )
