"""The teacher that candidates are compared with, as a file, before it has learned anything."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST, sha256_file
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.record import torch_model
from compress.errors import ArtifactError, CompressError
from compress.models.build import BuiltModel
from compress.models.checkpoint import load_checkpoint
from compress.models.reference import known_reference
from compress.progress import SILENT, Progress
from compress.search.families import TEACHER, Place, count, name_of
from compress.settings import Export, Network, Teachers
from compress.training.trainee import build_network, parse_args
from compress_bench.graph.weights import count_parameters
from compress_bench.subjects.bare_files import data_files
from compress_export.untrained import export_untrained


@dataclass(frozen=True, kw_only=True)
class TeacherFile:
    """What candidates are compared with.

    Attributes:
        name: what tables call it.
        reference: of the network.
        model_args: of its factory.
        parameters: learned values; None where a file does not tell.
        built: the network; None of an ONNX file, or without a teacher's network.
        onnx: its ONNX file, where it is one.
        note: why there is no file, where there is none.
        digest: of its weights, where it has some already.
    """

    name: str
    reference: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    built: BuiltModel | None = None
    onnx: Path | None = None
    note: str = ""
    digest: str = ""

    @property
    def has_file(self) -> bool:
        """Whether it can be measured before any training."""
        return self.built is not None or self.onnx is not None

    def write(self, place: Place, folder: Path, settings: Export) -> Path:
        """teacher.onnx in `folder`; one that is there already stays.

        Raises:
            ExportError: it has no ONNX form.
        """
        path = folder / f"{TEACHER}.onnx"
        if path.is_file():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        if self.onnx is not None:
            return _copied(self.onnx, path)
        assert self.built is not None
        return export_untrained(
            self.built,
            (),
            folder,
            TEACHER,
            settings=replace(settings, int8=False),
            dataset=place.dataset,
            threads=place.run.threads,
        ).float32


def _copied(source: Path, path: Path) -> Path:
    """A file and those that hold its weights, which it names as they lie beside it.

    It comes last: what is there was copied whole.
    """
    for part in data_files(source):
        if not part.is_relative_to(source.parent) or ".." in part.relative_to(source.parent).parts:
            raise ArtifactError(
                f"{source}: expected its weights beside it or below, found {part}; move them and "
                "write the model anew"
            )
        copied = path.parent / part.relative_to(source.parent)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part, copied)
    shutil.copyfile(source, path)
    return path


def find_teacher(
    teachers: Teachers, model: str, network: Network, place: Place, progress: Progress = SILENT
) -> TeacherFile:
    """The teacher of a recipe.

    Args:
        teachers: of its section distill; of several the first is compared with.
        model: of its section train, where distill names none; empty without one.
        network: of its section train.
        place: the images, seed and resize rule.
        progress: where notes go.

    Raises:
        CompressError: the network to be trained cannot be built, a folder is damaged, or what the
            recipe names is nothing that there is or will be.
    """
    # As the candidates: files are written on the CPU, whatever trains.
    place = replace(place, run=replace(place.run, device="cpu"))
    if not teachers.teacher and model:
        built, _ = build_network(model, network, place.dataset, place.run, place.run.seed)
        return _of_network(model, parse_args(network.model_args, "--model-args"), built)
    if not teachers.teacher:
        return TeacherFile(name=TEACHER, reference="", note="the recipe names no teacher")
    reference = teachers.teacher[0]
    try:
        return _named(reference, teachers, place, progress)
    except CompressError as error:
        path = Path(reference)
        to_come = bool(model) and not path.exists() and not path.suffix  # the folder it trains
        if not to_come and not known_reference(reference):
            raise
        return TeacherFile(name=TEACHER, reference=reference, note=str(error))


def _named(reference: str, teachers: Teachers, place: Place, progress: Progress) -> TeacherFile:
    """A network that has its weights already: a folder, a file, or one with weights."""
    path = Path(reference)
    if (path / MANIFEST).is_file():
        model = load_checkpoint(path)
        record = model.manifest["model"]
        built = BuiltModel(model.module, model.preprocessing)
        return replace(
            _of_network(str(record["reference"]), record["args"], built), digest=model.sha256
        )
    if path.suffix == ".onnx":
        return TeacherFile(
            name=path.stem,
            reference=reference,
            parameters=count_parameters(path),
            onnx=path,
            digest=sha256_file(path),
        )
    if path.exists() and path.suffix != ".py":
        note = f"{reference} holds answers and is no network"
        return TeacherFile(name=path.stem, reference=reference, note=note)
    # As it would teach, with its own weights: published ones bring their own input size.
    alone = replace(teachers, teacher=(reference,), teacher_shares=None)
    loaded = torch_model(load_teacher(alone, place.dataset, place.run, progress))
    args = parse_args(teachers.teacher_args, "--teacher-args")
    found = _of_network(reference, args, BuiltModel(loaded.module, loaded.preprocessing))
    return replace(found, digest=loaded.sha256)


def _of_network(reference: str, args: Mapping[str, Any], built: BuiltModel) -> TeacherFile:
    return TeacherFile(
        name=name_of(reference, args),
        reference=reference,
        model_args=dict(args),
        parameters=count(built),
        built=built,
    )
