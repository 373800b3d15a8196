"""What a teacher is: it answers views with logits, and says exactly what it is."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from compress.preprocess import Preprocessing
from compress.training.views import ViewPlan, Views


class Teacher(Protocol):
    """A network, several, or answers that were kept.

    It is no `nn.Module`, so that no student can take it into its own weights.
    """

    @property
    def name(self) -> str:
        """What messages call it: the reference that the user gave."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Of its answers, after the class map: the data's."""

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """What its networks look at: decides the size of views."""

    def identity(self) -> dict[str, Any]:
        """All that decides its answers, as JSON without a path: equal ones answer alike."""

    def record(self) -> dict[str, Any]:
        """Where it was found, as JSON: what the student's manifest needs to find it again."""

    def bind(self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()) -> "Teacher":
        """The same, ready to answer the views of a plan.

        Args:
            plan: of the views.
            temperature: at which its logits will be softened.
            numbers: of the views that it will be asked about, so that missing ones show at once.

        Raises:
            CompressError: its answers were given to other views, or not for this temperature.
        """

    def logits(self, views: Views) -> torch.Tensor:
        """Its answers: float32 [B, len(classes)], without gradient.

        Raises:
            ModelError: an answer is NaN or infinite, or not what `--teacher-output` says.
        """
