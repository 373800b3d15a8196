"""What a distillation loss is given of a part of a step, and how it says what it needs."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import torch

# labels      every image has one, mixed or not
# hard labels every image has exactly one: no mixup, no cutmix
# all logits  the teacher's, of every class: not the K largest alone
# features    tensors from inside both networks
# index       an image is known again by its number, so that none is a mixture of two
Need = Literal["labels", "hard labels", "all logits", "features", "index"]
Pairs = Literal["all", "middle", "last"]
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What student and teacher say about B images; float32 in training.

    Attributes:
        student_logits: [B, C], with gradient.
        teacher_logits: [B, C], not probabilities, without gradient.
        labels: int64 [B], UNLABELLED (-1) where not known; of a mixture, of its larger share.
        indices: int64 [B], each image's number among those that teach.
        student_features: one tensor a pair of layers, [B, ...], after the method's connector.
        teacher_features: one tensor a pair of layers, [B, ...], without gradient.
    """

    student_logits: torch.Tensor
    teacher_logits: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    student_features: tuple[torch.Tensor, ...] = ()
    teacher_features: tuple[torch.Tensor, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Defaults(Generic[S]):
    """What a method takes where the user says nothing.

    Attributes:
        weight: of the loss in the sum (`--kd-weight`).
        ce_weight: of the cross-entropy with the labels beside it (`--ce-weight`).
        settings: the loss's own.
        warmup: share of the steps in which the weight rises from 0.
    """

    weight: float
    ce_weight: float
    settings: S
    warmup: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a method may want to remark on before training: see `advise` of its file.

    Attributes:
        ce_weight: of the cross-entropy with the labels.
        images_at_once: in the smallest part of a step that one process computes.
        mixes: whether views are mixtures (mixup, cutmix).
        epochs: passes over the images.
    """

    ce_weight: float
    images_at_once: int
    mixes: bool
    epochs: int
