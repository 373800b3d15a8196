"""Finds what an export is about: the student, its images, its teacher, its baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST, sha256_file
from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.record import is_rebuildable, rebuild_network, torch_model
from compress.errors import ArtifactError, CompressError, ExportError, ModelError, UsageError
from compress.models.checkpoint import LoadedModel, load_checkpoint
from compress.models.reference import (
    did_you_mean,
    list_models,
    parse_reference,
)
from compress.progress import Progress
from compress.settings import Export, Network, Run, Splitting, Teachers
from compress.training.trainee import build_network
from compress_export.bundle import BASELINE, STUDENT, TEACHER

_NO_TEACHER = "none"
_PRETRAINED = ("torchvision:", "timm:")


@dataclass(frozen=True)
class Subjects:
    """What is exported.

    Attributes:
        models: by role, in the order of the bundle: teacher, student, baseline.
        dataset: images for calibration, parity and evaluation.
        notes: what the user should know about them.
    """

    models: Mapping[str, LoadedModel]
    dataset: Dataset
    notes: tuple[str, ...]


def find_subjects(
    subject: str, settings: Export, network: Network, run: Run, progress: Progress
) -> Subjects:
    """Load the student from its folder or reference, and all that belongs to it.

    Raises:
        ExportError: an .onnx file, or a teacher that is not where the manifest says.
        UsageError: flags for a network together with a checkpoint folder.
        ModelError: no such folder or network, or other classes than the data's.
        ArtifactError: other images than those it was trained on, under the same name.
    """
    _check_subject(subject, network)
    if Path(subject).is_dir():
        student = load_checkpoint(Path(subject))
        dataset, notes = _open_data(student, run, progress)
        baseline = _find_baseline(Path(subject), student)
    else:
        dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
        student, notes = _load_foreign(subject, network, dataset, run)
        baseline = None
    _check_classes(student, dataset)
    teacher, teacher_notes = _find_teacher(settings, student, dataset, run, progress)
    found = {TEACHER: teacher, STUDENT: student, BASELINE: baseline}
    models = {role: model for role, model in found.items() if model is not None}
    return Subjects(models, dataset, notes + teacher_notes)


def _check_subject(subject: str, network: Network) -> None:
    """Refuse what is neither a checkpoint nor a network, before any image is read."""
    if subject.endswith(".onnx"):
        raise ExportError(
            f"{subject}: expected a checkpoint folder or a torch network, found an ONNX file; "
            "quantising a foreign ONNX file is not supported yet"
        )
    if not Path(subject).is_dir():
        _check_network(subject)
        return
    if not (Path(subject) / MANIFEST).is_file():
        raise ArtifactError(
            f"{subject}: expected a checkpoint, found a folder without {MANIFEST}; "
            "its training may not be finished: give that command again"
        )
    for flag in fields(Network):
        if getattr(network, flag.name) != flag.default:
            raise UsageError(
                f"--{flag.name.replace('_', '-')}: expected a network that is no checkpoint "
                f"folder, found {subject}, whose manifest says how it was built; leave the flag out"
            )


def _check_network(subject: str) -> None:
    """Refuse a name that is no network's; a user's file is named by what is wrong with it."""
    try:
        parse_reference(subject)
    except ModelError as error:
        if ".py" in (Path(subject).suffix, Path(subject.rpartition(":")[0]).suffix):
            raise
        found = "a file" if Path(subject).is_file() else "no such folder"
        raise ModelError(
            f"{subject}: expected a checkpoint folder or a network, found {found}"
            f"{did_you_mean(subject, list_models())}"
        ) from error


def _open_data(
    student: LoadedModel, run: Run, progress: Progress
) -> tuple[Dataset, tuple[str, ...]]:
    """The images named, or those of the manifest in the very same splits."""
    record = student.manifest["data"]
    if run.data is None or Path(run.data).resolve() == Path(record["reference"]).resolve():
        splitting = Splitting(
            seed=record["split_seed"],
            val_fraction=record["val_fraction"],
            test_fraction=record["test_fraction"],
            max_bad=record["max_bad"],
            resize=record["resize"],
        )
        dataset = open_dataset(record["reference"], **splitting, progress=progress)
        if dataset.fingerprint != record["fingerprint"]:
            raise ArtifactError(
                f"{record['reference']}: expected the images that {student.name} was trained on "
                f"({record['fingerprint'][:12]}…), found others ({dataset.fingerprint[:12]}…), "
                "so its training images could be among the test images; "
                "restore them, or give other ones with --data"
            )
        return dataset, ()
    dataset = open_dataset(run.data, **run.splitting(), progress=progress)
    if dataset.fingerprint == record["fingerprint"]:
        return dataset, ()
    note = (
        f"calibrated and measured on {dataset.name}, trained on {record['reference']}: "
        "make sure that the test images were not among the training images"
    )
    return dataset, (note,)


def _load_foreign(
    subject: str, network: Network, dataset: Dataset, run: Run
) -> tuple[LoadedModel, tuple[str, ...]]:
    """A network from a zoo or the user's file, with given or pretrained weights."""
    if network.weights is None and not network.pretrained:
        raise UsageError(
            f"{subject}: expected a checkpoint folder or a network with weights; "
            "give a folder that compress train or distill wrote, --weights FILE, or --pretrained"
        )
    built, _ = build_network(subject, network, dataset, run, run.seed)
    model = LoadedModel(
        module=built.module.cpu().eval(),
        preprocessing=built.preprocessing,
        classes=dataset.classes,
        name=subject,
        sha256=sha256_file(network.weights) if network.weights else "",
        manifest={},
    )
    return model, built.notes


def _find_baseline(folder: Path, student: LoadedModel) -> LoadedModel | None:
    """The same student trained without a teacher, where there is one."""
    name = student.manifest.get("baseline")
    return load_checkpoint(folder / name) if name else None


def _find_teacher(
    settings: Export, student: LoadedModel, dataset: Dataset, run: Run, progress: Progress
) -> tuple[LoadedModel | None, tuple[str, ...]]:
    """The teacher asked for, or the one in the student's manifest; notes where it is left out."""
    if settings.teacher == _NO_TEACHER:
        return None, ()
    if settings.teacher is not None:
        return _load_named(settings.teacher, dataset, run, progress), ()
    record = student.manifest.get("teacher")
    if record is None:
        return None, ()
    if not is_rebuildable(record):
        note = (
            f"{student.name} was taught by {record['reference']}, which is not one torch network: "
            "the bundle holds no teacher; give --teacher FOLDER to put one beside it"
        )
        return None, (note,)
    return _rebuild_teacher(record, student, dataset), ()


def _rebuild_teacher(
    record: Mapping[str, Any], student: LoadedModel, dataset: Dataset
) -> LoadedModel:
    """The teacher of the manifest's "teacher" field, as it taught."""
    try:
        teacher = rebuild_network(record, dataset)
    except CompressError as error:
        raise ExportError(
            f"teacher {record['reference']} of {student.name}: expected it where it was when it "
            f"taught ({error}); give --teacher FOLDER, or --teacher none to leave it out"
        ) from error
    if teacher.sha256 != record["sha256"]:
        raise ExportError(
            f"teacher {record['reference']} of {student.name}: its weights have changed since it "
            "taught; give --teacher FOLDER to compare with another one, or --teacher none"
        )
    return teacher


def _load_named(reference: str, dataset: Dataset, run: Run, progress: Progress) -> LoadedModel:
    """The teacher that --teacher names."""
    if not Path(reference).is_dir() and not reference.startswith(_PRETRAINED):
        raise UsageError(
            f"--teacher {reference}: expected a checkpoint folder, torchvision:NAME or timm:NAME "
            f"with weights of its own, or {_NO_TEACHER}"
        )
    return torch_model(load_teacher(Teachers(teacher=(reference,)), dataset, run, progress))


def _check_classes(model: LoadedModel, dataset: Dataset) -> None:
    if model.classes != dataset.classes:
        raise ModelError(
            f"{model.name}: expected the classes of {dataset.name} ({len(dataset.classes)}: "
            f"{', '.join(dataset.classes[:5])}, …), found {len(model.classes)}: "
            f"{', '.join(model.classes[:5])}, …; give the images it was trained on with --data"
        )
