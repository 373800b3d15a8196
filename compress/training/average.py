"""An exponential moving average of a network's weights and statistics."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


def make_average(module: nn.Module, decay: float) -> AveragedModel | None:
    """A copy of `module` that follows it; None where `decay` is 0.

    The decay of update n is min(decay, (1 + n) / (10 + n)): an average that is young forgets the
    first, random weights quickly.
    """
    if not decay:
        return None
    return AveragedModel(module, multi_avg_fn=_follow(decay), use_buffers=True)


Follow = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor], torch.Tensor | int], None]


def _follow(decay: float) -> Follow:
    @torch.no_grad()
    def follow(
        averaged: Sequence[torch.Tensor],
        current: Sequence[torch.Tensor],
        count: torch.Tensor | int,
    ) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(list(averaged), list(current), 1 - kept)
        else:  # BatchNorm's counters
            torch._foreach_copy_(list(averaged), list(current))

    return follow
