"""A teacher that also shows what is inside it: one forward gives logits and features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from compress.distill.teachers.faster import Asked
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mean import MeanTeacher
from compress.distill.teachers.protocol import Answers, Teacher
from compress.distill.teachers.torch_network import TorchNetwork
from compress.errors import UsageError
from compress.models.taps import Recorder, Tap
from compress.preprocess import Preprocessing
from compress.training.views import ViewPlan, Views


@dataclass(frozen=True, kw_only=True)
class TappedTeacher:
    """See `Teacher`; made by `tap_teacher`.

    Attributes:
        teacher: who answers.
        recorder: hooks in its network.
    """

    teacher: LiveTeacher
    recorder: Recorder

    @property
    def name(self) -> str:
        """See `Teacher.name`."""
        return self.teacher.name

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Teacher.classes`."""
        return self.teacher.classes

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """See `Teacher.inputs`."""
        return self.teacher.inputs

    def identity(self) -> dict[str, Any]:
        """See `Teacher.identity`."""
        return self.teacher.identity()

    def record(self) -> dict[str, Any]:
        """See `Teacher.record`."""
        return self.teacher.record()

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "TappedTeacher":
        """See `Teacher.bind`."""
        return replace(self, teacher=self.teacher.bind(plan, temperature, numbers))

    def logits(self, views: Views) -> torch.Tensor:
        """See `Teacher.logits`."""
        return self.teacher.logits(views)

    def answers(self, views: Views) -> Answers:
        """Logits and features, in the order of the taps; where the network is, without gradient.

        Raises:
            ModelError: an answer is not finite, or a layer gives no tensor.
        """
        self.recorder.start()
        try:
            outputs = self.teacher.network.outputs(views.pixels)
            caught = self.recorder.caught()
        finally:
            self.recorder.stop()
        return Answers(self.teacher.interpret(outputs), tuple(tensor.float() for tensor in caught))

    def close(self) -> None:
        """Take the hooks out of the network."""
        self.recorder.close()


def tap_teacher(teacher: Teacher, taps: Sequence[Tap]) -> TappedTeacher:
    """The same teacher with hooks in its network.

    Raises:
        UsageError: there is no network to look into; see `network_of`.
    """
    module = network_of(teacher).model.module
    assert isinstance(teacher, LiveTeacher)  # the only kind that `network_of` lets pass
    return TappedTeacher(teacher=teacher, recorder=Recorder(module, taps, "teacher"))


def network_of(teacher: Teacher, asked: Asked = "auto") -> TorchNetwork:
    """The torch network that is the teacher.

    Args:
        teacher: any.
        asked: --teacher-runtime.

    Raises:
        UsageError: it has none, several, or is to be run by onnxruntime.
    """
    if asked == "onnxruntime":
        raise UsageError(
            "--teacher-runtime onnxruntime: feature losses need the network itself, which only "
            "torch can look into; leave the flag out"
        )
    network = teacher.network if isinstance(teacher, LiveTeacher) else None
    if isinstance(network, TorchNetwork):
        return network
    if isinstance(teacher, MeanTeacher):
        found = f"{len(teacher.teachers)} teachers"
    else:
        found = "answers from a file" if network is None else "a graph that onnxruntime runs"
    raise UsageError(
        f"--teacher {teacher.name}: feature losses need the network itself, expected one torch "
        f"network, found {found}; give a checkpoint folder or a network with --teacher-weights, or "
        "take a method of logits such as --method kd"
    )
