"""The optimiser: who is updated, and who is decayed."""

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
