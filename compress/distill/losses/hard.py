"""Learns the teacher's first choice as if it were the label.

Source: Touvron et al. 2021, Training data-efficient image transformers (DeiT), arXiv 2012.12877.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.signals import Defaults, Need, Signals

NEEDS: frozenset[Need] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing that only this method knows."""


# The paper's halves, which are ImageNet's; nothing in them depends on the number of classes.
SMALL_DATA = Defaults(weight=0.5, ce_weight=0.5, settings=Settings())
MANY_CLASSES = Defaults(weight=0.5, ce_weight=0.5, settings=Settings())


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """-log softmax(student)[argmax teacher], in nats.

    Reduction: mean over the batch.
    """
    del settings
    return F.cross_entropy(signals.student_logits, signals.teacher_logits.argmax(dim=1))
