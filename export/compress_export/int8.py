"""The student in integers: ranges from training images, the quantised graph, and proof of both."""

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.graph.layers import layer_seconds
from compress_export.bundle import STUDENT, STUDENT_INT8, Variant
from compress_export.deliver import deliver
from compress_export.evaluation import accuracy
from compress_export.proof import proof_dict
from compress_export.proof.bias import audit_bias, refuse_overflow
from compress_export.proof.census import take_census
from compress_export.proof.latency import race
from compress_export.proof.quality import compare_quality
from compress_export.quantizers.pair_projection import safe_weights
from compress_export.quantizers.pair_safe import count_saturating_pairs, refuse_saturation
from compress_export.ranges import Found, find_network_ranges
from compress_export.repair.case import Attempt, Case
from compress_export.repair.ladder import climb
from compress_export.rewrites import BEFORE_INT8, apply_rewrites
from compress_export.session import feed
from compress_export.sources import Source
from compress_export.work import FILES, Result, Work

_TIMED_THREADS = 1  # as bench does unless it is told otherwise: boards run one network a core
_PROFILED_RUNS = 20


def export_int8(case: Case, teacher: Result | None) -> Result:
    """Quantise the student within its budget, write its file, and prove what it is.

    Args:
        case: the student, its float32 form in its file already, and its teacher.
        teacher: the teacher's file, whose answers it is compared with too; None without one.

    Raises:
        ExportError: calibration images that give no finite ranges, or a fault of ours.
    """
    work, source, float32 = case.work, case.source, case.float32
    first, rewrites = plain_attempt(case)
    climbed = climb(case, first)
    best = climbed.best
    quantized, logits, found = best.graph, best.logits, best.attempt.found
    audit = audit_bias(quantized, best.attempt.core)
    refuse_saturation(count_saturating_pairs(quantized), subject=FILES[STUDENT_INT8])
    refuse_overflow(audit, subject=FILES[STUDENT_INT8])

    labels = work.dataset.validation.labels
    variant = Variant(
        role=STUDENT_INT8,
        file=FILES[STUDENT_INT8],
        precision="int8",
        source=source,
        validation=accuracy(logits, labels),
    )
    metrics = {"validation": variant.validation}
    ends = deliver(work, STUDENT_INT8, quantized, source=source, precision="int8", metrics=metrics)
    answers = teacher.logits if teacher else None
    classes = work.dataset.classes
    quality = compare_quality(float32.logits, logits, labels, answers, classes)
    proof = proof_dict(
        **_measure(work, source),
        audit=audit,
        quality=quality,
        calibration=_calibration(found),
        calibration_images=found.images,
    )
    proof |= {"repair": climbed.record(case)}
    checks = proof | {"rewrites": rewrites, "ends": ends}
    return Result(variant=variant, core=quantized, logits=logits, checks=checks)


def plain_attempt(case: Case) -> tuple[Attempt, dict[str, int]]:
    """Plain int8: the graph made ready, its weights rounded, its ranges found.

    Returns:
        The attempt, and the number of places that each rewrite changed.
    """
    core = copy.deepcopy(case.float32.core)
    rewrites = apply_rewrites(core, BEFORE_INT8)
    with case.work.progress.timed("int8: rounding the weights"):
        weights = safe_weights(core)
    found = find_network_ranges(case.work, case.source, core, case.float32, weights)
    return Attempt(core=core, weights=weights, found=found), rewrites


def _measure(work: Work, source: Source) -> dict[str, Any]:
    """What onnxruntime makes of the file, and what it takes beside float32, if that is asked."""
    path = work.path(STUDENT_INT8)
    if not work.settings.latency:
        return {"census": take_census(path), "race": None}
    work.progress.say("int8: timing it against float32, in turns")
    inputs = _example(work, source)
    shapes = {name: image.shape for name, image in inputs.items()}
    layers = layer_seconds(path, shapes, _TIMED_THREADS, _PROFILED_RUNS)
    return {
        "census": take_census(path, layers),
        "race": race(work.path(STUDENT), path, inputs, _TIMED_THREADS),
    }


def _example(work: Work, source: Source) -> dict[str, NDArray[Any]]:
    """One inference's images, as the files take them."""
    view = work.view(work.dataset.validation, source.preprocessing)
    session = work.session(STUDENT_INT8)
    (only,) = session.get_inputs()
    count = only.shape[0] if isinstance(only.shape[0], int) else 1
    images = np.repeat(view.pixels(np.arange(1)), count, axis=0)
    return {only.name: feed(session, images, source.preprocessing)}


def _calibration(found: Found) -> dict[str, Any]:
    return {"method": found.method, "tried": [asdict(tried) for tried in found.tried]}
