"""What the tests of distillation losses give them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compress.distill.methods import load_method
from compress.distill.signals import Signals

_NOTHING = torch.zeros(0)


def tensor(values: Any) -> torch.Tensor:
    """As float64, in which a loss is compared with its reference; a tensor as it is."""
    if isinstance(values, torch.Tensor):
        return values
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def of_logits(student: Any, teacher: Any, labels: Sequence[int] = ()) -> Signals:
    """Logits [B, C], and labels [B]."""
    return Signals(
        student_logits=tensor(student),
        teacher_logits=tensor(teacher),
        labels=torch.as_tensor(labels, dtype=torch.int64),
        indices=torch.arange(len(student)),
    )


def of_features(students: Sequence[Any], teachers: Sequence[Any]) -> Signals:
    """Features [B, ...] of pairs of layers."""
    return Signals(
        student_logits=_NOTHING,
        teacher_logits=_NOTHING,
        labels=_NOTHING,
        indices=_NOTHING,
        student_features=tuple(tensor(each) for each in students),
        teacher_features=tuple(tensor(each) for each in teachers),
    )


def loss_of(name: str, signals: Signals, **settings: float) -> torch.Tensor:
    """The loss of a method, as a tensor."""
    method = load_method(name)
    return method.loss(signals, method.settings(**settings))


def logit_loss(
    name: str, student: Any, teacher: Any, labels: Sequence[int] = (), **settings: float
) -> float:
    """The loss of a method between logits [B, C]."""
    return loss_of(name, of_logits(student, teacher, labels), **settings).item()


def feature_loss(name: str, student: Any, teacher: Any, **settings: float) -> float:
    """The loss of a method between the features [B, ...] of one pair of layers."""
    return loss_of(name, of_features([student], [teacher]), **settings).item()
