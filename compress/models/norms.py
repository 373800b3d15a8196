"""Batch statistics: whether a network has them, and whether they move."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norm_kind(module: nn.Module) -> str:
    """none, frozen (every BatchNorm's weights are), or whole step (statistics of the batch)."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    if not norms:
        return "none"
    weights = [p for norm in norms for p in norm.parameters()]
    moving = any(p.requires_grad for p in weights) if weights else True
    return "whole step" if moving else "frozen"
