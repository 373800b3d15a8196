"""Matches standardised logits: their order and spacing, not their scale.

Source: Sun et al. 2024, Logit standardization in knowledge distillation, arXiv 2403.01427.
"""

from dataclasses import dataclass

import torch

from compress.distill.losses.kd import divergence
from compress.distill.signals import Defaults, Need, Signals, Situation

# Mean and deviation are over every class; of the K largest logits alone they would be others.
NEEDS: frozenset[Need] = frozenset({"all logits"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        temperature: T, above 0, in standard deviations of an image's logits.
    """

    temperature: float


# Weight 9 at T = 2 is 36 times the KL; plain kd's 0.9 at T = 4 is 14 times. Compare with kd at an
# equal product before giving the standardisation the credit.
SMALL_DATA = Defaults(weight=9.0, ce_weight=0.1, settings=Settings(temperature=2.0))
# ImageNet, ResNet-34 to 18: torchdistill's sample, 71.23.
MANY_CLASSES = Defaults(weight=9.0, ce_weight=0.5, settings=Settings(temperature=2.0))


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """T^2 KL(softmax(Z(teacher) / T) || softmax(Z(student) / T)), in nats; Z is `standardise`.

    Logits may be scaled and shifted image by image, by either network, and the loss stays. So its
    gradient grows as one over the deviation of the student's logits.

    Reduction: sum over classes, mean over the batch.
    """
    student, teacher = standardise(signals.student_logits), standardise(signals.teacher_logits)
    return divergence(student, teacher, settings.temperature)


def standardise(logits: torch.Tensor) -> torch.Tensor:
    """Each image's logits with mean 0 and (unbiased) standard deviation 1.

    Args:
        logits: float [B, C], C of 2 or more.

    Returns:
        float [B, C]; zeros for an image whose logits are all the same.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, keepdim=True) + 1e-7)  # the authors' constant


def advise(situation: Situation) -> list[str]:
    """Labels alone hold the scale of the logits."""
    if situation.ce_weight:
        return []
    return [
        "--method lskd: --ce-weight is 0, so that nothing decides the scale of the student's "
        "logits: its classes will be right, its probabilities arbitrary; --ce-weight 0.1 holds them"
    ]
