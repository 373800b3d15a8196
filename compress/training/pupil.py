"""A student with taps: what is trained where losses look inside it.

The student stays the network that is evaluated, averaged and kept; connectors are trained beside
it, are part of the saved state, and of nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import nn

from compress.models.taps import Recorder, Tap


class Outputs(NamedTuple):
    """What a network in training says about a batch; float32 where an objective is given it.

    Attributes:
        logits: [B, C].
        features: from inside the network, after the connectors, [B, ...] each; a plain network's
            are none.
    """

    logits: torch.Tensor
    features: tuple[torch.Tensor, ...] = ()


class Pupil(nn.Module):
    """Calls the student and brings what passes its taps to the teacher's shapes.

    Attributes:
        student: the network, with hooks until `close`.
        connectors: one for each tap; Identity where nothing is to be done.
    """

    def __init__(
        self, student: nn.Module, taps: Sequence[Tap], connectors: Sequence[nn.Module]
    ) -> None:
        """Put hooks into `student`."""
        super().__init__()
        self.student = student
        self.connectors = nn.ModuleList(connectors)
        self._recorder = Recorder(student, taps, "student")

    def forward(self, inputs: torch.Tensor) -> Outputs:
        """Logits and features of float32 [B, C, H, W].

        Raises:
            ModelError: nothing passes a tap, or something that is no tensor.
        """
        self._recorder.start()
        try:
            logits = cast("torch.Tensor", self.student(inputs))
            caught = self._recorder.caught()
        finally:
            self._recorder.stop()
        pairs = zip(self.connectors, caught, strict=True)
        return Outputs(logits, tuple(connect(tensor) for connect, tensor in pairs))

    def close(self) -> None:
        """Take the hooks out of the student."""
        self._recorder.close()
