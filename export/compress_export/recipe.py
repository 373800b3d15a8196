"""`compress export`: a trained network becomes a bundle. Read top to bottom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import BUNDLE
from compress.data.dataset import select
from compress.errors import UsageError
from compress.models.reference import source_sha256
from compress.progress import Progress
from compress.settings import Export, Network, Run
from compress.stage import open_stage, settings_of
from compress.training.torch_setup import set_up_torch
from compress_bench.subjects.bundle import verify_bundle
from compress_bench.subjects.evaluation_set import (
    balanced_indices,
    choose_test_images,
    read_pixels,
    reading_size,
)
from compress_export.advice import advise_int8, advise_size, recommend
from compress_export.bundle import STUDENT, STUDENT_INT8, TEACHER, Findings, write_bundle
from compress_export.choose import check_method
from compress_export.core_checks import advise_cores, check_cpu, check_names
from compress_export.evaluation import (
    GOLDEN_IMAGES,
    golden_arrays,
    write_evaluation,
    write_golden,
)
from compress_export.float32 import export_float32
from compress_export.int8 import export_int8
from compress_export.portability import Portability, choose_portability
from compress_export.repair import choose_rungs
from compress_export.repair.case import Case
from compress_export.sources import Source
from compress_export.subjects import Subjects, find_subjects
from compress_export.work import Result, Work


def export(
    subject: Path | str,
    *,
    settings: Export,
    network: Network,
    run: Run,
    progress: Progress,
) -> Path:
    """Convert a student, its teacher and its baseline, prove them equal, quantise, and measure.

    Args:
        subject: a checkpoint folder; `file.py:factory`, `torchvision:NAME`, `timm:NAME` with
            weights; or an .onnx file.
        settings: what is written.
        network: weights and arguments of a subject that is not a folder.
        run: output folder, images, seed, threads, force.
        progress: where steps are reported.

    Returns:
        The bundle's folder.

    Raises:
        UsageError: a setting out of its range, or a flag that the subject cannot take.
        ExportError: a network that cannot be converted, or whose file does not match it.
        ArtifactError: the output folder holds something else, or a damaged bundle.
    """
    out = run.require_out()
    portability = check_settings(settings)
    for part in (network, run):
        part.check()
    run = set_up_torch(run.resolved())
    subjects = find_subjects(str(subject), settings, network, run, progress)
    asked = {"subject": str(subject), **settings_of(run, network, settings), **_inputs(subjects)}
    stage = open_stage(out, "export", asked, result=BUNDLE, force=run.force)
    if stage.finished:
        verify_bundle(out, remedy="give --force to export again")
        progress.say(f"{out}: finished already")
        return out

    sources, dataset = subjects.sources, subjects.dataset
    work = Work(
        out=out,
        dataset=dataset,
        size=reading_size(dataset, [source.preprocessing for source in sources.values()]),
        settings=settings,
        portability=portability,
        seed=run.seed,
        threads=run.threads,
        progress=progress,
    )
    stage.begin()
    results = {role: export_float32(work, role, source) for role, source in sources.items()}
    if settings.int8:
        case = Case(
            work=work,
            source=sources[STUDENT],
            teacher=sources.get(TEACHER),
            float32=results[STUDENT],
        )
        results[STUDENT_INT8] = export_int8(case, results.get(TEACHER))
    kept = _write_arrays(work, sources, results)
    cores = check_cpu(work, results) if settings.cores() else []
    notes = [*subjects.notes, *advise_size(kept, len(dataset.test)), *advise_cores(cores)]
    write_bundle(
        out,
        dataset=dataset,
        variants=[result.variant for result in results.values()],
        findings=_findings(results, cores, settings.max_drop, notes),
        provenance=_inputs(subjects)
        | {
            "settings": _portable(settings),
            "seed": run.seed,
            "threads": run.threads,
            **asdict(portability),
        },
    )
    return out


def check_settings(settings: Export) -> Portability:
    """Refuse what no export can use, before anything is loaded.

    Returns:
        The operator set and the onnxruntime that the settings mean.

    Raises:
        UsageError: names the flag, what it takes and what it was given.
    """
    if not settings.onnx:
        raise UsageError("--no-onnx: ONNX is the only format so far; leave the flag out")
    settings.check()
    check_method(settings.calibration)
    choose_rungs(settings.repair)
    check_names(settings.cores())
    return choose_portability(settings.opset, settings.min_runtime)


def _inputs(subjects: Subjects) -> dict[str, Any]:
    """Fingerprints of all that goes in."""
    sources = subjects.sources
    weights = {f"{role}_sha256": source.sha256 for role, source in sources.items()}
    code = {
        f"{role}_source_sha256": source_sha256(source.name)
        for role, source in sources.items()
        if not source.name.endswith(".onnx")
    }
    return {**weights, **code, "data_fingerprint": subjects.dataset.fingerprint}


def _portable(settings: Export) -> dict[str, Any]:
    """The settings without a path of this machine: bundles are handed on."""
    return {key: value for key, value in asdict(settings).items() if key != "teacher"}


def _write_arrays(work: Work, sources: Mapping[str, Source], results: Mapping[str, Result]) -> int:
    """Write evaluation.npz and golden.npz from the test split; returns the number of images."""
    chosen = choose_test_images(work.dataset, work.size, work.seed)
    test = select(work.dataset.test, chosen)
    pixels = read_pixels(test, np.arange(len(test)), work.size)
    first = balanced_indices(test.labels, GOLDEN_IMAGES, work.seed)
    golden: dict[str, NDArray[Any]] = {}
    for role in results:
        spec = sources[role.removesuffix("_int8")].preprocessing
        golden |= golden_arrays(role, work.session(role), pixels[first], spec)
    teacher_logits = None
    if TEACHER in results:
        view = work.view(test, sources[TEACHER].preprocessing)
        core = results[TEACHER].core
        teacher_logits = work.logits(TEACHER, core, view, "teacher: answering")
    write_evaluation(work.out, pixels, test.labels, teacher_logits)
    write_golden(work.out, golden)
    return len(test)


def _findings(
    results: Mapping[str, Result],
    cores: Sequence[dict[str, Any]],
    max_drop: float,
    notes: Sequence[str],
) -> Findings:
    """What was proven, and what follows for the user."""
    checks = _checks(results) | ({"cpu": cores} if cores else {})
    if STUDENT_INT8 not in results:
        return Findings(checks=checks, advice=notes, recommended=STUDENT, reason="")
    float32, int8 = results[STUDENT].variant, results[STUDENT_INT8].variant
    recommended, reason = recommend(float32, int8, checks["int8"], max_drop)
    advice = advise_int8(float32, int8, checks["int8"], max_drop)
    return Findings(checks=checks, advice=[*notes, *advice], recommended=recommended, reason=reason)


def _checks(results: Mapping[str, Result]) -> dict[str, Any]:
    """What was proven, by topic and variant."""
    topics = ("parity", "rewrites", "ends")
    checks: dict[str, Any] = {
        topic: {role: r.checks[topic] for role, r in results.items() if topic in r.checks}
        for topic in topics
    }
    if STUDENT_INT8 in results:
        proof = results[STUDENT_INT8].checks
        checks["int8"] = {key: value for key, value in proof.items() if key not in topics}
    return checks
