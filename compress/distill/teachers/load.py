"""From `--teacher` to a teacher that was held against the data: tells the kinds apart."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from compress.data.dataset import Dataset
from compress.distill.teachers import (
    answers_file,
    checkpoint_folder,
    kept_folder,
    network,
    onnx_file,
)
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mean import MeanTeacher, normalised
from compress.distill.teachers.onnx_network import OnnxNetwork
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.request import Request, given_flags
from compress.distill.teachers.torch_network import TorchNetwork
from compress.errors import UsageError
from compress.progress import Progress
from compress.settings import Run, Teachers


class Kind(Protocol):
    """A file of this folder that knows one kind of teacher."""

    def claims(self, reference: str) -> bool:
        """Whether a reference, by its form or by what lies there, is of this kind."""

    def load(self, request: Request) -> Teacher:
        """The teacher, held against the data."""


# The first that claims a reference loads it; the last one claims all.
_KINDS: tuple[Kind, ...] = (kept_folder, checkpoint_folder, onnx_file, answers_file, network)

# What describes one network; with several, each must know it of itself.
_OF_SEVERAL = ("class_map",)


def load_teacher(teachers: Teachers, dataset: Dataset, run: Run, progress: Progress) -> Teacher:
    """Find the teacher or teachers that the settings name, and hold their classes against the data.

    Args:
        teachers: who teaches.
        dataset: what the student learns on.
        run: device, threads, resize rule.
        progress: where notes go.

    Returns:
        The teacher, not yet bound to views.

    Raises:
        UsageError: no teacher, one without weights, or flags that it cannot take.
        ModelError: it cannot be built or run, or its classes are not the data's.
        DataError: answers that are not for these images.
        ArtifactError: a damaged folder or file.
    """
    refuse_nobody(teachers)
    if len(teachers.teacher) == 1:
        teacher = _load(teachers.teacher[0], teachers, dataset, run, progress)
        _refuse_runtime(teachers, (teacher,))
        return teacher
    refuse_flags_of_one(teachers)
    alone = replace(teachers, teacher_shares=None)
    members = tuple(_load(name, alone, dataset, run, progress) for name in teachers.teacher)
    _refuse_runtime(teachers, members)
    shares = teachers.teacher_shares or (1.0,) * len(members)
    return MeanTeacher(teachers=members, shares=normalised(shares))


def refuse_nobody(teachers: Teachers) -> None:
    """Refuse to teach without a teacher.

    Raises:
        UsageError: none is named.
    """
    if not teachers.teacher:
        raise UsageError(
            "--teacher: expected a checkpoint folder, a network, an .onnx file, a folder of kept "
            "logits or an .npz of logits, found nothing"
        )


def _load(
    reference: str, teachers: Teachers, dataset: Dataset, run: Run, progress: Progress
) -> Teacher:
    request = Request(
        reference=reference, settings=teachers, dataset=dataset, run=run, progress=progress
    )
    kind = next(kind for kind in _KINDS if kind.claims(reference))
    return kind.load(request)


def refuse_flags_of_one(teachers: Teachers) -> None:
    """Of several teachers none is the one that a flag describes.

    Raises:
        UsageError: names the first flag.
    """
    for name in given_flags(teachers):
        if name not in _OF_SEVERAL:
            raise UsageError(
                f"--{name.replace('_', '-')}: expected a single teacher, found "
                f"{len(teachers.teacher)}, and it does not say which it is for; run compress "
                "logits with it for that one, and give the folder of its logits in its place"
            )


def _refuse_runtime(teachers: Teachers, members: Sequence[Teacher]) -> None:
    """Refuse --teacher-runtime where it would change nothing: no teacher can answer by it.

    Of several teachers it concerns those that can.
    """
    asked = teachers.teacher_runtime
    networks = [m.network for m in members if isinstance(m, LiveTeacher)]
    answering = TorchNetwork if asked == "torch" else (TorchNetwork, OnnxNetwork)
    if asked != "auto" and not any(isinstance(n, answering) for n in networks):
        found = "is run by onnxruntime alone" if networks else "holds answers and runs nothing"
        raise UsageError(
            f"--teacher-runtime {asked}: expected a teacher that it can run, found "
            f"{' and '.join(teachers.teacher)}, which {found}; leave the flag out"
        )
