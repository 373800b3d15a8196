"""What the losses on features share."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from compress.distill.signals import Signals
from compress.errors import ModelError

_TINY = 1e-12  # a vector shorter than this has no direction


def over_pairs(
    distance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], signals: Signals
) -> torch.Tensor:
    """The sum of distance(student, teacher) over the pairs of layers, without one to the teacher.

    Args:
        distance: of two features [B, ...], a scalar.
        signals: with a pair of features or more.
    """
    pairs = zip(signals.student_features, signals.teacher_features, strict=True)
    return torch.stack([distance(student, teacher.detach()) for student, teacher in pairs]).sum()


def same_size(student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature maps of one height and width: the larger is averaged down to the smaller.

    Args:
        student: float [B, C, H, W].
        teacher: float [B, C', H', W'].

    Returns:
        Both at min(H, H') x min(W, W').

    Raises:
        ModelError: features that are no maps.
    """
    require_maps(tuple(student.shape[1:]), tuple(teacher.shape[1:]))
    sizes = zip(student.shape[2:], teacher.shape[2:], strict=True)
    height, width = (min(pair) for pair in sizes)
    return _averaged(student, height, width), _averaged(teacher, height, width)


def require_maps(student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
    """Refuse shapes other than [C, H, W].

    Raises:
        ModelError: names both shapes.
    """
    if len(student) != 3 or len(teacher) != 3:
        raise ModelError(
            f"layers: expected feature maps [C, H, W] of both networks, found {list(student)} of "
            f"the student and {list(teacher)} of the teacher; name layers before the pooling, as "
            "in layers: {stage2: layer3}, or take --method rkd, which takes any"
        )


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors along the last dimension, of length 1; zeros stay zeros, and get no gradient.

    F.normalize divides by 1e-12 there, and sends a gradient a million million times too large.
    """
    squares = vectors.square().sum(dim=-1, keepdim=True)
    lengths = squares.clamp(min=_TINY**2).sqrt()
    return torch.where(squares > _TINY**2, vectors / lengths, torch.zeros_like(vectors))


def _averaged(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if tuple(maps.shape[2:]) == (height, width):
        return maps
    return F.adaptive_avg_pool2d(maps, (height, width))
