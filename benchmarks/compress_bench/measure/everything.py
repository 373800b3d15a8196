"""All that one bench measures, in turn: answers first, so that a broken network is found early."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from compress.progress import Progress
from compress.settings import Bench
from compress_bench.answers import Answers
from compress_bench.evidence import Evidence, Gap, PacedProcess, Sustained, Variant
from compress_bench.graph.layers import Profiled
from compress_bench.measure.bed import Bed
from compress_bench.measure.counts import measure_counts
from compress_bench.measure.fresh import measure_fresh, say_not_finite
from compress_bench.measure.latency import measure_latency
from compress_bench.measure.layers import measure_layers
from compress_bench.measure.paced import measure_paced, say_assumed
from compress_bench.measure.predictions import predict
from compress_bench.measure.sustained import measure_sustained
from compress_bench.subjects.bundle import Subjects


def measure_everything(
    bed: Bed, found: Subjects, cores: int, settings: Bench, progress: Progress
) -> tuple[Evidence, tuple[str, ...]]:
    """Measure what the settings ask for, within the time cap.

    Returns:
        The evidence, and notes for the user.

    Raises:
        BenchError: the runner failed; names the variant.
    """
    variants, profile = found.variants, bed.profile
    answers = _answers(bed, found, progress)
    with progress.task("memory, cold start", total=len(variants) * profile.fresh) as advance:
        fresh, fresh_gaps = measure_fresh(bed, variants, advance)
    with progress.task("latency", total=profile.processes * profile.rounds) as advance:
        latency = measure_latency(bed, variants, found.reference, advance)
    paced, paced_gaps = _paced(bed, variants, settings.fps, progress)
    sustained, sustained_gaps = _sustained(bed, variants, progress)
    profiles, layer_gaps, notes = _layers(bed, variants, settings, progress)
    # Last: under valgrind it takes what time is left.
    with progress.task("counters", total=len(variants) * profile.counting) as advance:
        counted, count_gaps = measure_counts(bed, variants, settings.instructions, advance)
    evidence = Evidence(
        reference=found.reference,
        variants=_with_macs(variants, profiles),
        batch_size=bed.batch_size,
        latency=latency.processes,
        fresh=fresh,
        images=found.images,
        answers=answers,
        cores=cores,
        planned=(profile.processes, profile.rounds),
        counted=counted,
        paced=paced,
        sustained=sustained,
        profiles=profiles,
        capped=latency.capped,
        gaps=(*fresh_gaps, *paced_gaps, *sustained_gaps, *layer_gaps, *count_gaps),
        asked=_asked(bed, settings),
    )
    return evidence, (*say_not_finite(fresh), *latency.notes, *say_assumed(paced), *notes)


def _asked(bed: Bed, settings: Bench) -> frozenset[str]:
    wanted = {
        "paced": settings.fps is not None,
        "sustained": bed.profile.sustained_seconds is not None,
        "profiles": settings.layers,
    }
    return frozenset(name for name, is_wanted in wanted.items() if is_wanted)


def _answers(bed: Bed, found: Subjects, progress: Progress) -> Mapping[str, Answers]:
    if found.images is None:
        return {}
    answering = [variant for variant in found.variants if not variant.no_answers]
    total = len(answering) * len(found.images.labels)
    with progress.task("predicting test images", total=total) as advance:
        return predict(bed, answering, found.images, advance)


def _paced(
    bed: Bed, variants: Sequence[Variant], fps: float | None, progress: Progress
) -> tuple[Mapping[str, tuple[PacedProcess, ...]], tuple[Gap, ...]]:
    if fps is None:
        return {}, ()
    total = bed.profile.processes * len(variants)
    with progress.task(f"frames at {fps:g} a second", total=total) as advance:
        return measure_paced(bed, variants, fps, advance)


def _sustained(
    bed: Bed, variants: Sequence[Variant], progress: Progress
) -> tuple[Mapping[str, Sustained], tuple[Gap, ...]]:
    seconds = bed.profile.sustained_seconds
    if seconds is None:
        return {}, ()
    with progress.task("sustained", total=seconds * len(variants)) as advance:
        return measure_sustained(bed, variants, seconds, advance)


def _with_macs(variants: Sequence[Variant], profiles: Mapping[str, Profiled]) -> dict[str, Variant]:
    """By name; a file that a second runtime runs too has the same multiply-adds there."""
    counted = {v.path: profiles[v.name].macs.total for v in variants if v.name in profiles}
    return {v.name: replace(v, macs=counted.get(v.path)) for v in variants}


def _layers(
    bed: Bed, variants: Sequence[Variant], settings: Bench, progress: Progress
) -> tuple[Mapping[str, Profiled], tuple[Gap, ...], tuple[str, ...]]:
    if not settings.layers:
        return {}, (), ()
    with progress.task("layers", total=len(variants)) as advance:
        return measure_layers(bed, variants, advance)
