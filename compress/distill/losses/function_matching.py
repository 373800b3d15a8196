"""Matches the teacher alone, without labels, on mixed images, for long.

Source: Beyer et al. 2022, Knowledge distillation: a good teacher is patient and consistent,
arXiv 2106.05237.
"""

from dataclasses import dataclass

import torch

from compress.distill.losses.kd import divergence
from compress.distill.signals import Defaults, Need, Signals, Situation

NEEDS: frozenset[Need] = frozenset()
_PATIENT = 100  # epochs; the authors' configurations for ImageNet have 300 to 1200


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        temperature: T, above 0, which softens both distributions.
    """

    temperature: float


# The paper has one setting for all its data sets, from 1,000 images to ImageNet: no labels, T = 1.
SMALL_DATA = Defaults(weight=1.0, ce_weight=0.0, settings=Settings(temperature=1.0))
MANY_CLASSES = Defaults(weight=1.0, ce_weight=0.0, settings=Settings(temperature=1.0))


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), in nats: kd's.

    What makes the method is around it: no labels, the same mixed view for both networks, patience.

    Reduction: sum over classes, mean over the batch.
    """
    return divergence(signals.student_logits, signals.teacher_logits, settings.temperature)


def advise(situation: Situation) -> list[str]:
    """The teacher is a function, to be seen at more points than the images are."""
    remarks = []
    if not situation.mixes:
        remarks.append(
            "--method function_matching: asks the teacher about mixed images, and --mixup is 0; "
            "--mixup 1 is the paper's"
        )
    if situation.epochs < _PATIENT:
        remarks.append(
            f"--method function_matching: needs patience; {situation.epochs} epochs are few, "
            "hundreds were its own"
        )
    return remarks
