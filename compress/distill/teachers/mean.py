"""Several teachers as one: the weighted mean of their logits.

The softmax of a mean of logits is the geometric mean of the teachers' distributions, scaled to sum
to 1, and that exactly at every temperature: the product of softmax(z_k / T)^w_k is, up to a factor
of the image, exp(sum w_k z_k / T). What a logit adds to all classes of an image drops out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Any

import torch

from compress.distill.teachers.protocol import Teacher
from compress.preprocess import Preprocessing
from compress.training.views import ViewPlan, Views


@dataclass(frozen=True, kw_only=True)
class MeanTeacher:
    """See `Teacher`.

    Attributes:
        teachers: two or more, of the same classes.
        shares: weight of each, over 0; they sum to 1.
    """

    teachers: tuple[Teacher, ...]
    shares: tuple[float, ...]

    @property
    def name(self) -> str:
        """See `Teacher.name`."""
        return " + ".join(teacher.name for teacher in self.teachers)

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Teacher.classes`."""
        return self.teachers[0].classes

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """See `Teacher.inputs`."""
        return tuple(spec for teacher in self.teachers for spec in teacher.inputs)

    def identity(self) -> dict[str, Any]:
        """See `Teacher.identity`."""
        return {
            "kind": "mean",
            "teachers": [teacher.identity() for teacher in self.teachers],
            "shares": list(self.shares),
            "classes": list(self.classes),
        }

    def record(self) -> dict[str, Any]:
        """See `Teacher.record`."""
        return {
            **self.identity(),
            "teachers": [teacher.record() for teacher in self.teachers],
            "reference": self.name,
            "folder": None,
            "weights": None,
        }

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "MeanTeacher":
        """See `Teacher.bind`."""
        bound = tuple(teacher.bind(plan, temperature, numbers) for teacher in self.teachers)
        return replace(self, teachers=bound)

    def logits(self, views: Views) -> torch.Tensor:
        """See `Teacher.logits`."""
        return weighted_sum([teacher.logits(views) for teacher in self.teachers], self.shares)


def normalised(shares: Sequence[float]) -> tuple[float, ...]:
    """The same proportions with a sum of 1."""
    total = fsum(shares)
    return tuple(share / total for share in shares)


def weighted_sum(logits: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    """Sum of w_k z_k over float32 [B, C] each, where the live networks are.

    Logits that were kept are on the CPU.
    """
    device = next((part.device for part in logits if part.device.type != "cpu"), logits[0].device)
    total = logits[0].to(device) * shares[0]
    for part, share in zip(logits[1:], shares[1:], strict=True):
        total = total + part.to(device) * share
    return total
