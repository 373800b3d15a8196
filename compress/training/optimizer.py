"""The optimiser and its learning rate over the steps."""

import math

import torch
from torch import nn

from compress.errors import ModelError
from compress.settings import Training


def make_optimizer(module: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum 0.9, or AdamW, over the parameters that are not frozen.

    Norms' weights and all biases (every parameter of one dimension) are not decayed.

    Raises:
        ModelError: nothing is left to train.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise ModelError("network: expected parameters to train, found none; use a lower --freeze")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9, nesterov=True)


def rate_at(step: int, *, steps: int, warmup: float) -> float:
    """The learning rate of `step` (from 0) as a share of its peak.

    It rises linearly over the first `warmup` share of the steps, then falls as half a cosine.
    """
    rising = warmup * steps
    if step < rising:
        return min(1.0, (step + 1) / rising)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, steps - rising)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the learning rate `rate`; the schedule needs no state of its own."""
    for group in optimizer.param_groups:
        group["lr"] = rate
