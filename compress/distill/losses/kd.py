"""Matches the teacher's softened probabilities by their KL divergence.

Source: Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, arXiv 1503.02531.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.signals import Defaults, Need, Signals

NEEDS: frozenset[Need] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        temperature: T, above 0, which softens both distributions.
    """

    temperature: float


# CIFAR-100: the protocol of CRD (arXiv 1910.10699), which the tables of the field share.
SMALL_DATA = Defaults(weight=0.9, ce_weight=0.1, settings=Settings(temperature=4.0))
# ImageNet, ResNet-34 to 18: MMRazor's 71.81, more than most methods since report of their own.
MANY_CLASSES = Defaults(weight=3.0, ce_weight=1.0, settings=Settings(temperature=1.0))


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), in nats.

    Reduction: sum over classes, mean over the batch.
    """
    return divergence(signals.student_logits, signals.teacher_logits, settings.temperature)


def divergence(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over the batch.

    The gradient of the KL shrinks as 1/T^2; the factor T^2 keeps its size, so that the weights of
    soft and hard terms mean the same at every T. As T grows the loss tends to half the mean over
    classes of the squared difference of the centred logits.

    Args:
        student_logits: float [B, C].
        teacher_logits: float [B, C], not probabilities; gets no gradient.
        temperature: T, above 0.

    Returns:
        A scalar in nats. Reduction: sum over classes, mean over the batch.
    """
    student_log = F.log_softmax(student_logits / temperature, dim=1)
    teacher_log = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    # "batchmean", not "mean": that would divide by B * C and weaken the term C times.
    kl = F.kl_div(student_log, teacher_log, log_target=True, reduction="batchmean")
    return temperature**2 * kl
