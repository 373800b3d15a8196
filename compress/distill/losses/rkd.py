"""Matches distances and angles between the images of a batch.

Source: Park et al. 2019, Relational knowledge distillation, arXiv 1904.05068.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.losses._features import over_pairs, unit
from compress.distill.signals import Defaults, Need, Pairs, Signals, Situation
from compress.errors import ModelError

NEEDS: frozenset[Need] = frozenset({"features"})
PAIRS: Pairs = "last"
RELATES_IMAGES = True
_IMAGES = 64  # that angles are taken of: 64^3 of them, where 256 images have 17 million


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        distance: weight of the distances between two images.
        angle: weight of the angles between three.
    """

    distance: float
    angle: float


# CIFAR-100: the authors' 25 and 50; MMRazor takes them for ImageNet too.
SMALL_DATA = Defaults(weight=1.0, ce_weight=1.0, settings=Settings(distance=25.0, angle=50.0))
MANY_CLASSES = Defaults(weight=1.0, ce_weight=1.0, settings=Settings(distance=25.0, angle=50.0))


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """Weighted sum of huber(d_student, d_teacher) and huber(cos_student, cos_teacher).

    d is the distance of two images, in units of the batch's mean distance; cos that of the angle
    at an image between two others. Both are of the features, pooled to a vector an image, so that
    turning, moving or scaling all vectors changes nothing. Of the images of one part of a step on
    one process; angles of the first 64.

    Reduction: mean over all pairs, and over all triples; sum over the pairs of layers.
    """

    def relations(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        student, teacher = _embedding(student), _embedding(teacher)
        distances = F.smooth_l1_loss(_distances(student), _distances(teacher))
        angles = F.smooth_l1_loss(_angles(student[:_IMAGES]), _angles(teacher[:_IMAGES]))
        return settings.distance * distances + settings.angle * angles

    return over_pairs(relations, signals)


def _embedding(features: torch.Tensor) -> torch.Tensor:
    """[B, D]: the mean over positions of [B, D, H, W], over tokens of [B, N, D], or [B, D]."""
    match features.ndim:
        case 2:
            return features
        case 3:
            return features.mean(dim=1)
        case 4:
            return features.mean(dim=(2, 3))
    raise ModelError(
        "layers: expected features [B, D], [B, N, D] or [B, D, H, W] for --method rkd, found "
        f"{list(features.shape)}; name other layers"
    )


def _distances(vectors: torch.Tensor) -> torch.Tensor:
    """[B, B] in units of their mean, from [B, D]; the diagonal is 0."""
    count = len(vectors)
    vectors = vectors - vectors.mean(dim=0)  # no distance changes, and less cancels below
    squares = vectors.square().sum(dim=1)
    squared = squares[:, None] + squares - 2 * vectors @ vectors.T
    apart = 1 - torch.eye(count, dtype=vectors.dtype, device=vectors.device)
    # The root of 0 has no gradient: two images at one place count as 1e-6 apart.
    distances = squared.clamp(min=1e-12).sqrt() * apart
    mean = distances.sum() / max(count * (count - 1), 1)
    return distances / mean.clamp(min=1e-12)


def _angles(vectors: torch.Tensor) -> torch.Tensor:
    """[B, B, B] from [B, D]: at image i, the cosine between the ways to j and to k."""
    ways = unit(vectors - vectors[:, None])  # [i, j, D]
    return ways @ ways.mT


def advise(situation: Situation) -> list[str]:
    """Images are related to those that are computed with them."""
    if situation.images_at_once >= _IMAGES:
        return []
    return [
        f"--method rkd: relates {situation.images_at_once} images to each other, and wants "
        f"{_IMAGES} or more at once: a larger --batch-size or a smaller --accumulate"
    ]
