"""Matches where in the image the features are strong.

Source: Zagoruyko & Komodakis 2017, Paying more attention to attention, arXiv 1612.03928.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.losses._features import over_pairs, same_size, unit
from compress.distill.signals import Defaults, Need, Pairs, Signals

NEEDS: frozenset[Need] = frozenset({"features"})
PAIRS: Pairs = "all"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing that only this method knows."""


# The authors' 1000, on CIFAR and on ImageNet.
SMALL_DATA = Defaults(weight=1000.0, ce_weight=1.0, settings=Settings())
MANY_CLASSES = Defaults(weight=1000.0, ce_weight=1.0, settings=Settings())


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """mean((q_student - q_teacher)^2), q = the mean over channels of squares, of length 1.

    This is what the authors' code computes and the tables were made with. The paper's equation 2
    has the norm |q_student - q_teacher| and no mean, and another weight.

    Reduction: mean over batch and positions; sum over the pairs of layers.
    """
    del settings
    return over_pairs(_difference, signals)


def _difference(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Of float [B, C, H, W] and [B, C', H', W']; the larger is averaged down to the smaller."""
    student, teacher = same_size(student, teacher)
    return F.mse_loss(_attention(student), _attention(teacher))


def _attention(maps: torch.Tensor) -> torch.Tensor:
    """[B, H * W] of length 1 from [B, C, H, W]; 0 for an image with nothing in it."""
    return unit(maps.square().mean(dim=1).flatten(start_dim=1))
