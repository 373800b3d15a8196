"""Splits the KL: how sure of the label, and what of the other classes.

Source: Zhao et al. 2022, Decoupled knowledge distillation, arXiv 2203.08679.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from compress.distill.losses.kd import divergence
from compress.distill.signals import Defaults, Need, Signals

# All logits: the second term weighs the classes that are not the label by beta, where plain KL has
# their small mass 1 - p(label). Of the K largest, the rest would be one flat level there; and a
# label among the rest would have the mean probability of the rest.
NEEDS: frozenset[Need] = frozenset({"hard labels", "all logits"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What only this method knows.

    Attributes:
        temperature: T, above 0, which softens all distributions.
        alpha: weight of the KL between (p(label), 1 - p(label)) of both networks.
        beta: weight of the KL between their distributions over the other classes.
    """

    temperature: float
    alpha: float
    beta: float


# CIFAR-100 (supplement of the paper): beta 8, warm-up 20 of 240 epochs. Teachers that are little
# better than their student liked less: 2 for ResNet-56 to 20, 6 for wide ResNets and VGG.
SMALL_DATA = Defaults(
    weight=1.0,
    ce_weight=1.0,
    settings=Settings(temperature=4.0, alpha=1.0, beta=8.0),
    warmup=20 / 240,
)
# ImageNet, ResNet-34 to 18: warm-up 1 of 100 epochs. ResNet-50 to MobileNet: beta 2.
MANY_CLASSES = Defaults(
    weight=1.0,
    ce_weight=1.0,
    settings=Settings(temperature=1.0, alpha=1.0, beta=0.5),
    warmup=1 / 100,
)


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """T^2 (alpha KL(label or not) + beta KL(which of the others)), in nats, all at T.

    With alpha = 1 and beta = 1 - p_teacher(label), image by image, it is kd.

    Reduction: sum over classes, mean over the batch.
    """
    student, teacher = signals.student_logits, signals.teacher_logits.detach()
    temperature, labels = settings.temperature, signals.labels
    label_or_not = F.kl_div(
        _label_or_not(student / temperature, labels),
        _label_or_not(teacher / temperature, labels),
        log_target=True,
        reduction="batchmean",
    )
    which_other = divergence(_others(student, labels), _others(teacher, labels), temperature)
    return settings.alpha * temperature**2 * label_or_not + settings.beta * which_other


def _label_or_not(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logarithms of p(label) and 1 - p(label): float [B, 2] from [B, C]."""
    log_p = F.log_softmax(logits, dim=1)
    # A sum over the others, not log(1 - p), which is -inf as soon as p rounds to 1.
    rest = _others(log_p, labels).logsumexp(dim=1, keepdim=True)
    return torch.cat([log_p.gather(1, labels[:, None]), rest], dim=1)


def _others(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """All columns but the label's: [B, C - 1] from [B, C]; taken out, not pushed to -1000."""
    columns = torch.arange(values.shape[1] - 1, device=values.device)
    return values.gather(1, columns + (columns >= labels[:, None]))
