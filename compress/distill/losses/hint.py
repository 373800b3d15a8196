"""Regresses a middle feature map on the teacher's, through a connector.

Source: Romero et al. 2015, FitNets: hints for thin deep nets, arXiv 1412.6550.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from compress.distill.losses._features import over_pairs, require_maps, same_size
from compress.distill.signals import Defaults, Need, Pairs, Signals

NEEDS: frozenset[Need] = frozenset({"features"})
PAIRS: Pairs = "middle"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing that only this method knows."""


# The paper trains hints first and the rest after; the tables of CIFAR-100 (CRD, arXiv 1910.10699)
# train both at once with weight 100. For ImageNet no such weight is published: CIFAR's.
SMALL_DATA = Defaults(weight=100.0, ce_weight=1.0, settings=Settings())
MANY_CLASSES = Defaults(weight=100.0, ce_weight=1.0, settings=Settings())


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """mean((student - teacher)^2) of feature maps, the larger averaged down to the smaller.

    Reduction: mean over batch, channels and positions; sum over the pairs of layers.
    """
    del settings
    return over_pairs(_squared_error, signals)


def _squared_error(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The mean over all elements of float [B, C, H, W] and [B, C, H', W']."""
    return F.mse_loss(*same_size(student, teacher))


def connector(student_shape: tuple[int, ...], teacher_shape: tuple[int, ...]) -> nn.Module:
    """A linear map of each position's channels to the teacher's, and the teacher's scale.

    No ReLU after it: a layer's output may well be negative.

    Args:
        student_shape: [C, H, W].
        teacher_shape: [C', H', W'].

    Returns:
        From [B, C, H, W] to [B, C', H, W].

    Raises:
        ModelError: layers whose outputs are no maps.
    """
    require_maps(student_shape, teacher_shape)
    channels = teacher_shape[0]
    return nn.Sequential(
        nn.Conv2d(student_shape[0], channels, kernel_size=1, bias=False), nn.BatchNorm2d(channels)
    )
