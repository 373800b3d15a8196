"""Correlates predictions, image by image and class by class.

Source: Huang et al. 2022, Knowledge distillation from a stronger teacher, arXiv 2205.10536.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.signals import Defaults, Need, Signals, Situation

# All logits: each class counts the same in the second term, also those that are never among the K
# largest, of which nothing would be left but the level of the rest.
NEEDS: frozenset[Need] = frozenset({"all logits"})
RELATES_IMAGES = True
_IMAGES = 64  # the batch of the CIFAR-100 tables; below, a class has too few images to correlate
_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        temperature: T, above 0, which softens both distributions.
        beta: weight of the correlation of an image's probabilities over the classes.
        gamma: weight of the correlation of a class's probabilities over the images.
    """

    temperature: float
    beta: float
    gamma: float


# CIFAR-100: T = 4 with the paper's beta = gamma = 2.
SMALL_DATA = Defaults(
    weight=1.0, ce_weight=1.0, settings=Settings(temperature=4.0, beta=2.0, gamma=2.0)
)
# ImageNet: the paper's; torchdistill's beta = gamma = 1 with weight 2 is the same.
MANY_CLASSES = Defaults(
    weight=1.0, ce_weight=1.0, settings=Settings(temperature=1.0, beta=2.0, gamma=2.0)
)


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """T^2 (beta (1 - rho over classes) + gamma (1 - rho over images)) of softmax(. / T).

    rho is Pearson's correlation of student and teacher. Over images it sees those of one part of a
    step on one process, not of the whole step.

    Reduction: mean over the batch of the first, mean over the classes of the second.
    """
    student = F.softmax(signals.student_logits / settings.temperature, dim=1)
    teacher = F.softmax(signals.teacher_logits.detach() / settings.temperature, dim=1)
    of_images = 1 - correlation(student, teacher, dim=1).mean()
    of_classes = 1 - correlation(student, teacher, dim=0).mean()
    return settings.temperature**2 * (settings.beta * of_images + settings.gamma * of_classes)


def correlation(one: torch.Tensor, other: torch.Tensor, dim: int) -> torch.Tensor:
    """Pearson's correlation along a dimension, in [-1, 1]; 0 where either is constant.

    Args:
        one: float [B, C].
        other: float [B, C].
        dim: 0 gives [C], 1 gives [B].
    """
    one = one - one.mean(dim, keepdim=True)
    other = other - other.mean(dim, keepdim=True)
    # The authors add their 1e-8 to the product of the lengths; beside each square it weighs as
    # much, and the gradient at a constant row is 1e4 at most, not 1e8.
    squares = (one.square().sum(dim) + _EPSILON) * (other.square().sum(dim) + _EPSILON)
    return (one * other).sum(dim) / squares.sqrt()


def advise(situation: Situation) -> list[str]:
    """A class is correlated over the images of a part of a step."""
    if situation.images_at_once >= _IMAGES:
        return []
    return [
        f"--method dist: correlates a class over {situation.images_at_once} images, and wants "
        f"{_IMAGES} or more at once: a larger --batch-size or a smaller --accumulate"
    ]
