"""What a teacher is: it answers views with logits, and says exactly what it is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

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


class Answers(NamedTuple):
    """What a teacher says about views.

    Attributes:
        logits: float32 [B, classes], without gradient.
        features: float32 [B, ...], one from each layer that a loss looks at, without gradient.
    """

    logits: torch.Tensor
    features: tuple[torch.Tensor, ...] = ()


Ask = Callable[[Views], Answers]


@runtime_checkable
class Showing(Protocol):
    """A teacher that also shows what is inside it."""

    def answers(self, views: Views) -> Answers:
        """Logits and features of one forward."""


def asking(teacher: Teacher) -> Ask:
    """How a teacher is asked in every step: with its features, where it shows them."""
    if isinstance(teacher, Showing):
        return teacher.answers
    return lambda views: Answers(teacher.logits(views))
