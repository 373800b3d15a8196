"""`compress export`: a trained network becomes a bundle. Read top to bottom."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from compress.artifacts import BUNDLE
from compress.data.dataset import Dataset, Split, select
from compress.errors import UsageError
from compress.models.checkpoint import LoadedModel
from compress.models.reference import source_sha256
from compress.models.tracing import INPUT
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Export, Network, Run
from compress.stage import open_stage, settings_of
from compress.training.torch_setup import set_up_torch
from compress_bench.bundle import verify_bundle
from compress_bench.evaluation_set import (
    balanced_indices,
    choose_test_images,
    read_pixels,
    reading_size,
)
from compress_bench.metadata import DataOrigin
from compress_export.advice import advise_int8, advise_size
from compress_export.bundle import STUDENT, STUDENT_INT8, TEACHER, Variant, write_bundle
from compress_export.calibration import load_method
from compress_export.census import take_census
from compress_export.convert import check_opset, convert, save_checked
from compress_export.evaluation import (
    GOLDEN_IMAGES,
    View,
    accuracy,
    golden_arrays,
    view_logits,
    write_evaluation,
    write_golden,
)
from compress_export.quantizers.pair_safe import count_saturating_pairs, refuse_saturation
from compress_export.quantizers.static_qdq import activations, quantize
from compress_export.session import open_session, session_options
from compress_export.subjects import Subjects, find_subjects
from compress_export.verify import IMAGES, verify

FILES = {
    "teacher": "teacher.onnx",
    "student": "student.onnx",
    "baseline": "baseline.onnx",
    "student_int8": "student.int8.onnx",
}
_CALIBRATION = "minmax"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every step of one export needs.

    Attributes:
        out: the bundle's folder.
        dataset: the images.
        size: height and width at which they are read.
        settings: what is written.
        seed: of every choice of images.
        threads: onnxruntime's; all cores if None.
        progress: where steps are reported.
    """

    out: Path
    dataset: Dataset
    size: tuple[int, int]
    settings: Export
    seed: int
    threads: int | None
    progress: Progress

    def view(self, split: Split, preprocessing: Preprocessing) -> View:
        """A split as one network gets it."""
        return View(split, self.size, preprocessing)

    def session(self, role: str) -> ort.InferenceSession:
        """The file of a role, opened as a board would."""
        path = self.out / FILES[role]
        return open_session(path, session_options(self.threads), subject=path.name)


@dataclass(frozen=True)
class Result:
    """One exported file.

    Attributes:
        variant: its entry in the bundle.
        predictions: class indices on the validation split, int64 [N].
        checks: what was proven about it.
    """

    variant: Variant
    predictions: NDArray[np.int64]
    checks: dict[str, Any]


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
        subject: a checkpoint folder; or `file.py:factory`, `torchvision:NAME`, `timm:NAME` with
            weights.
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
    if not settings.onnx:
        raise UsageError("--no-onnx: ONNX is the only format so far; leave the flag out")
    out = run.require_out()
    check_settings(settings)
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

    models, dataset = subjects.models, subjects.dataset
    work = Work(
        out=out,
        dataset=dataset,
        size=reading_size(dataset, [model.preprocessing for model in models.values()]),
        settings=settings,
        seed=run.seed,
        threads=run.threads,
        progress=progress,
    )
    stage.begin()
    results = {role: _export_float(work, role, model) for role, model in models.items()}
    if settings.int8:
        results[STUDENT_INT8] = _export_int8(work, models[STUDENT], results[STUDENT])
    kept = _write_arrays(work, models, list(results))
    write_bundle(
        out,
        dataset=dataset,
        variants=[result.variant for result in results.values()],
        checks=_checks(results),
        advice=[
            *subjects.notes,
            *advise_size(kept, len(dataset.test)),
            *_advise(results, settings.max_drop),
        ],
        provenance=_inputs(subjects) | {"settings": _portable(settings), "seed": run.seed},
    )
    return out


def check_settings(settings: Export) -> None:
    """Refuse numbers that no export can use, before anything is loaded.

    Raises:
        UsageError: names the flag, what it takes and what it was given.
    """
    images, drop = settings.calibration_images, settings.max_drop
    if images < 1:
        raise UsageError(f"--calibration-images: expected 1 or more, found {images}")
    if not (isfinite(drop) and drop >= 0):
        raise UsageError(f"--max-drop: expected 0 points or more, found {drop:g}")
    check_opset(settings.opset)


def _inputs(subjects: Subjects) -> dict[str, Any]:
    """Fingerprints of all that goes in."""
    models = subjects.models
    weights = {f"{role}_sha256": model.sha256 for role, model in models.items()}
    sources = {f"{role}_source_sha256": source_sha256(m.name) for role, m in models.items()}
    return {**weights, **sources, "data_fingerprint": subjects.dataset.fingerprint}


def _portable(settings: Export) -> dict[str, Any]:
    """The settings without a path of this machine: bundles are handed on."""
    return {key: value for key, value in asdict(settings).items() if key != "teacher"}


def _export_float(work: Work, role: str, model: LoadedModel) -> Result:
    """Convert one network, prove it equal to torch, and measure the file on validation."""
    work.progress.say(f"{role}: converting {model.name} to {FILES[role]}")
    origin = DataOrigin(work.dataset.name, work.dataset.fingerprint)
    rewrites = convert(model, work.out / FILES[role], work.settings.opset, origin)
    session = work.session(role)
    view = work.view(work.dataset.validation, model.preprocessing)
    parity = verify(model, session, view.inputs(np.arange(min(IMAGES, len(view.split)))))
    logits = view_logits(session, view, f"{role}: evaluating", work.progress)
    variant = Variant(
        role=role,
        file=FILES[role],
        precision="float32",
        model=model,
        validation=accuracy(logits, view.split.labels),
    )
    return Result(variant, logits.argmax(axis=1), {"parity": asdict(parity), "rewrites": rewrites})


def _export_int8(work: Work, student: LoadedModel, float32: Result) -> Result:
    """Quantise student.onnx on training images, look at what is integer, and measure the file."""
    graph = onnx.load(work.out / FILES[STUDENT])
    chosen = balanced_indices(
        work.dataset.train.labels, work.settings.calibration_images, work.seed
    )
    images = _calibration_batches(
        work, work.view(work.dataset.train, student.preprocessing), chosen
    )
    ranges = load_method(_CALIBRATION)(graph, activations(graph), images, work.threads)
    ranges[INPUT] = _input_range(student.preprocessing)
    quantized = quantize(graph, ranges)
    path = work.out / FILES[STUDENT_INT8]
    pairs = count_saturating_pairs(quantized)
    refuse_saturation(pairs, subject=path.name)
    save_checked(quantized, path, subject=path.name)

    view = work.view(work.dataset.validation, student.preprocessing)
    session = work.session(STUDENT_INT8)
    logits = view_logits(session, view, "int8: evaluating", work.progress)
    predictions = logits.argmax(axis=1)
    checks = asdict(take_census(path)) | {
        "method": _CALIBRATION,
        "calibration_images": len(chosen),
        "saturating_pairs": pairs,
        "agreement": float((predictions == float32.predictions).mean()),
    }
    variant = Variant(
        role=STUDENT_INT8,
        file=path.name,
        precision="int8",
        model=student,
        validation=accuracy(logits, view.split.labels),
    )
    return Result(variant, predictions, checks)


def _calibration_batches(
    work: Work, view: View, chosen: NDArray[np.int64]
) -> Iterator[NDArray[np.float32]]:
    with work.progress.task("int8: calibrating", total=len(chosen)) as advance:
        for indices in view.batches(chosen):
            yield view.inputs(indices)
            advance(len(indices))


def _input_range(spec: Preprocessing) -> tuple[float, float]:
    """What black and white become: no image can leave it, and (x - 128) / 64 quantises exactly."""
    ends = (np.array([[0.0], [255.0]]) - np.array(spec.mean)) / np.array(spec.scale)  # [2, C]
    return float(ends.min()), float(ends.max())


def _write_arrays(work: Work, models: Mapping[str, LoadedModel], roles: Sequence[str]) -> int:
    """Write evaluation.npz and golden.npz from the test split; returns the number of images."""
    chosen = choose_test_images(work.dataset, work.size, work.seed)
    test = select(work.dataset.test, chosen)
    first = balanced_indices(test.labels, GOLDEN_IMAGES, work.seed)
    golden: dict[str, NDArray[np.float32]] = {}
    teacher_logits = None
    for role in roles:
        session = work.session(role)
        view = work.view(test, models[role.removesuffix("_int8")].preprocessing)
        golden |= golden_arrays(role, session, view.inputs(first))
        if role == TEACHER:
            teacher_logits = view_logits(session, view, "teacher: answering", work.progress)
    pixels = read_pixels(test, np.arange(len(test)), work.size)
    write_evaluation(work.out, pixels, test.labels, teacher_logits)
    write_golden(work.out, golden)
    return len(test)


def _checks(results: dict[str, Result]) -> dict[str, Any]:
    """What was proven, by topic and variant."""
    checks: dict[str, Any] = {
        topic: {role: r.checks[topic] for role, r in results.items() if topic in r.checks}
        for topic in ("parity", "rewrites")
    }
    if STUDENT_INT8 in results:
        checks["int8"] = results[STUDENT_INT8].checks
    return checks


def _advise(results: dict[str, Result], max_drop: float) -> list[str]:
    """What is to be said of int8, if it was asked for."""
    if STUDENT_INT8 not in results:
        return []
    int8 = results[STUDENT_INT8]
    return advise_int8(results[STUDENT].variant, int8.variant, int8.checks, max_drop)
