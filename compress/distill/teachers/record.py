"""The teacher in a student's manifest, and the way back from there to its network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts import sha256_file
from compress.data.dataset import Dataset
from compress.distill.teachers.class_map import recorded_map
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.torch_network import TorchNetwork, interpreted
from compress.errors import ModelError
from compress.models.build import ModelSpec, build_model
from compress.models.checkpoint import LoadedModel, load_checkpoint
from compress.models.reference import source_sha256
from compress.preprocess import Preprocessing

_REBUILDABLE = ("checkpoint", "network")


def teacher_record(teacher: Teacher) -> dict[str, Any]:
    """The manifest's "teacher" field of a student: what it was, and where it was found."""
    return teacher.record()


def is_rebuildable(record: Mapping[str, Any]) -> bool:
    """Whether a manifest's "teacher" field leads back to one torch network; older ones all do."""
    return record.get("kind", "checkpoint") in _REBUILDABLE


def rebuild_network(record: Mapping[str, Any], dataset: Dataset) -> LoadedModel:
    """The network of a manifest's "teacher" field, as it taught.

    Args:
        record: one that `is_rebuildable`.
        dataset: whose classes it taught.

    Returns:
        The network on the CPU, which gives logits of the data's classes, with the preprocessing
        and the weights' digest to hold against the record.

    Raises:
        CompressError: its files are gone, or are others now.
    """
    if record["folder"]:
        model = load_checkpoint(Path(record["folder"]))
    else:
        model = _rebuild_foreign(record, dataset)
    preprocessing = Preprocessing.from_dict(record["preprocessing"])
    mapping = recorded_map(record, dataset.classes)
    if "kind" not in record and model.classes != dataset.classes:
        raise ModelError("its classes are not the data's")
    interpreter = Interpreter(record.get("output", "logits"), mapping)
    return interpreted(replace(model, preprocessing=preprocessing), interpreter, dataset.classes)


def _rebuild_foreign(record: Mapping[str, Any], dataset: Dataset) -> LoadedModel:
    """A teacher from a zoo or the user's file, as the manifest describes it."""
    expected = record.get("source_sha256")
    if expected and source_sha256(record["reference"]) != expected:
        raise ModelError(f"{record['reference']} is another file now")
    preprocessing = Preprocessing.from_dict(record["preprocessing"])
    weights = Path(record["weights"]) if record["weights"] else None
    spec = ModelSpec(
        reference=record["reference"],
        num_classes=record.get("num_classes", len(dataset.classes)),
        own_classes=True,
        channels=preprocessing.channels,
        input_size=preprocessing.size,
        input_size_given=True,
        args=record["args"],
        weights=weights,
        pretrained=weights is None,
    )
    return LoadedModel(
        module=build_model(spec).module.eval(),
        preprocessing=preprocessing,
        classes=dataset.classes,
        name=record["reference"],
        sha256=sha256_file(weights) if weights else "",
        manifest={},
    )


def torch_model(teacher: Teacher) -> LoadedModel:
    """The torch network of a teacher, giving logits of the data's classes: what export writes.

    Raises:
        ModelError: the teacher is no torch network.
    """
    if not isinstance(teacher, LiveTeacher) or not isinstance(teacher.network, TorchNetwork):
        raise ModelError(
            f"--teacher {teacher.name}: expected a checkpoint folder or a torch network, which "
            "export can write, found another kind of teacher; give --teacher none to leave it out"
        )
    return interpreted(teacher.network.model, teacher.interpreter, teacher.classes)
