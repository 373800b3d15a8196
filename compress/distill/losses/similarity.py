"""Matches which images of a batch look alike to the network.

Source: Tung & Mori 2019, Similarity-preserving knowledge distillation, arXiv 1907.09682.
"""

from dataclasses import dataclass

import torch

from compress.distill.losses._features import over_pairs, unit
from compress.distill.signals import Defaults, Need, Pairs, Signals, Situation

NEEDS: frozenset[Need] = frozenset({"features"})
PAIRS: Pairs = "last"
RELATES_IMAGES = True
_IMAGES = 64  # at once, for which the weight was chosen


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing that only this method knows."""


# CIFAR-100: 3000 (CRD's tables, arXiv 1910.10699, and mdistiller). No ImageNet training from
# scratch is published with its weight, and classes do not enter: CIFAR's.
SMALL_DATA = Defaults(weight=3000.0, ce_weight=1.0, settings=Settings())
MANY_CLASSES = Defaults(weight=3000.0, ce_weight=1.0, settings=Settings())


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """|G_student - G_teacher|^2 / B^2, G = the Gram matrix [B, B] of features, rows of length 1.

    Of the images of one part of a step on one process. Turning the features changes nothing, nor
    does a scale that all images share. A row has length 1 however many images there are, so the
    loss falls as 1 / B.

    Reduction: mean over all pairs of images; sum over the pairs of layers.
    """
    del settings
    return over_pairs(_difference, signals)


def _difference(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Of float features [B, ...] and [B, ...], of any shapes."""
    return (_likeness(student) - _likeness(teacher)).square().mean()


def _likeness(features: torch.Tensor) -> torch.Tensor:
    """[B, B] from [B, ...]: products of each image with all, of length 1 an image."""
    flat = features.flatten(start_dim=1)
    return unit(flat @ flat.T)


def advise(situation: Situation) -> list[str]:
    """Images are related to those that are computed with them."""
    if situation.images_at_once >= _IMAGES:
        return []
    return [
        f"--method similarity: relates {situation.images_at_once} images to each other, and wants "
        f"{_IMAGES} or more at once: a larger --batch-size or a smaller --accumulate"
    ]
