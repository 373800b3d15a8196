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
from compress.distill.teachers.torch_network import weights_sha256
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
from compress_bench.metadata import without_folder
from compress_export.bundle import BASELINE, STUDENT, TEACHER
from compress_export.onnx_source import (
    Reading,
    is_plain,
    read_onnx,
    recorded_source,
    teacher_source,
)
from compress_export.sources import Source, torch_source

_NO_TEACHER = "none"
_PRETRAINED = ("torchvision:", "timm:")
_ONNX_ALONE = ("mean", "scale")  # of an ONNX file; others know their normalisation


@dataclass(frozen=True)
class Subjects:
    """What is exported.

    Attributes:
        sources: by role, in the order of the bundle: teacher, student, baseline.
        dataset: images for calibration, parity and evaluation.
        notes: what the user should know about them.
    """

    sources: Mapping[str, Source]
    dataset: Dataset
    notes: tuple[str, ...]


def find_subjects(
    subject: str, settings: Export, network: Network, run: Run, progress: Progress
) -> Subjects:
    """Load the student from its folder, reference or file, and all that belongs to it.

    Raises:
        ExportError: an ONNX file that cannot be taken, or a teacher that is not where the
            manifest says.
        UsageError: flags that the subject cannot take.
        ModelError: no such folder or network, or other classes than the data's.
        ArtifactError: other images than those it was trained on, under the same name.
    """
    _check_subject(subject, settings, network)
    if _is_onnx(subject):
        return _from_onnx(Path(subject), settings, network, run, progress)
    if Path(subject).is_dir():
        student = load_checkpoint(Path(subject))
        dataset, notes = _open_data(student, run, progress)
        baseline = _find_baseline(Path(subject), student)
    else:
        dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
        student, notes = _load_foreign(subject, network, dataset, run)
        baseline = None
    _check_classes(student.name, student.classes, dataset)
    teacher, teacher_notes = _find_teacher(settings, student, dataset, run, progress)
    return Subjects(
        _by_role(teacher, torch_source(student), baseline), dataset, notes + teacher_notes
    )


def _from_onnx(
    path: Path, settings: Export, network: Network, run: Run, progress: Progress
) -> Subjects:
    """A network that came as a file; its teacher only where one is named."""
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    reading = Reading(
        size=network.input_size,
        mean=settings.mean,
        scale=settings.scale,
        resize=run.resize,
        threads=run.threads,
    )
    student, notes = read_onnx(path, dataset, reading)
    named = settings.teacher not in (None, _NO_TEACHER)
    teacher, said = (
        _load_named(str(settings.teacher), dataset, run, progress) if named else (None, ())
    )
    return Subjects(_by_role(teacher, student, None), dataset, notes + said)


def _by_role(teacher: Source | None, student: Source, baseline: Source | None) -> dict[str, Source]:
    found = {TEACHER: teacher, STUDENT: student, BASELINE: baseline}
    return {role: source for role, source in found.items() if source is not None}


def _is_onnx(subject: str) -> bool:
    return subject.endswith(".onnx") and not Path(subject).is_dir()


def _check_subject(subject: str, settings: Export, network: Network) -> None:
    """Refuse what is no network, and flags that it cannot take, before any image is read."""
    if _is_onnx(subject):
        _refuse_flags(network, ("input_size",), f"a torch network, found the file {subject}")
        return
    _refuse_flags(settings, _ONNX_ALONE, f"an ONNX file, found {subject}", all_but=False)
    if not Path(subject).is_dir():
        _check_network(subject)
        return
    if not (Path(subject) / MANIFEST).is_file():
        raise ArtifactError(
            f"{subject}: expected a checkpoint, found a folder without {MANIFEST}; "
            "its training may not be finished: give that command again"
        )
    found = f"a network that is no checkpoint folder, found {subject}"
    _refuse_flags(network, (), f"{found}, whose manifest says how it was built")


def _refuse_flags(
    settings: Export | Network, names: tuple[str, ...], expected: str, *, all_but: bool = True
) -> None:
    """Refuse flags that were given: those named, or all but those named."""
    for flag in fields(settings):
        concerned = (flag.name in names) != all_but
        if concerned and getattr(settings, flag.name) != flag.default:
            raise UsageError(
                f"--{flag.name.replace('_', '-')}: expected {expected}; leave the flag out"
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
        f"calibrated and measured on {without_folder(dataset.name)}, trained on "
        f"{without_folder(record['reference'])}: "
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
        sha256=sha256_file(network.weights) if network.weights else weights_sha256(built.module),
        manifest={},
    )
    return model, built.notes


def _find_baseline(folder: Path, student: LoadedModel) -> Source | None:
    """The same student trained without a teacher, where there is one."""
    name = student.manifest.get("baseline")
    return torch_source(load_checkpoint(folder / name)) if name else None


def _find_teacher(
    settings: Export, student: LoadedModel, dataset: Dataset, run: Run, progress: Progress
) -> tuple[Source | None, tuple[str, ...]]:
    """The teacher asked for, or the one in the student's manifest; notes where it is left out."""
    if settings.teacher == _NO_TEACHER:
        return None, ()
    if settings.teacher is not None:
        return _load_named(settings.teacher, dataset, run, progress)
    record = student.manifest.get("teacher")
    if record is None:
        return None, ()
    if record.get("kind") == "onnx" and is_plain(record):
        return _reopen_teacher(record, student, dataset, run), ()
    if not is_rebuildable(record):
        note = (
            f"{without_folder(student.name)} was taught by {without_folder(record['reference'])}, "
            "which is not one network with the data's classes: the bundle holds no teacher; give "
            "--teacher FOLDER to put one beside it"
        )
        return None, (note,)
    return torch_source(_rebuild_teacher(record, student, dataset)), ()


def _reopen_teacher(
    record: Mapping[str, Any], student: LoadedModel, dataset: Dataset, run: Run
) -> Source:
    """The ONNX file of the manifest's "teacher" field."""
    path = Path(record["reference"])
    if not path.is_file():
        raise ExportError(
            f"teacher {path} of {student.name}: expected it where it was when it taught, found no "
            "such file; give --teacher FILE.onnx, or --teacher none to leave it out"
        )
    source = recorded_source(record, dataset, run.threads)
    if source.sha256 != record["sha256"]:
        raise ExportError(
            f"teacher {path} of {student.name}: the file has changed since it taught; give "
            "--teacher FILE.onnx to compare with another one, or --teacher none"
        )
    return source


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


def _load_named(
    reference: str, dataset: Dataset, run: Run, progress: Progress
) -> tuple[Source, tuple[str, ...]]:
    """The teacher that --teacher names, and what was assumed of it."""
    if not (Path(reference).is_dir() or _is_onnx(reference) or reference.startswith(_PRETRAINED)):
        raise UsageError(
            f"--teacher {reference}: expected a checkpoint folder, an .onnx file, torchvision:NAME "
            f"or timm:NAME with weights of its own, or {_NO_TEACHER}"
        )
    teacher = load_teacher(Teachers(teacher=(reference,)), dataset, run, progress)
    if _is_onnx(reference):
        return teacher_source(Path(reference), teacher)
    return torch_source(torch_model(teacher)), ()


def _check_classes(name: str, classes: tuple[str, ...], dataset: Dataset) -> None:
    if classes != dataset.classes:
        raise ModelError(
            f"{name}: expected the classes of {dataset.name} ({len(dataset.classes)}: "
            f"{', '.join(dataset.classes[:5])}, …), found {len(classes)}: "
            f"{', '.join(classes[:5])}, …; give the images it was trained on with --data"
        )
