"""The learning rate as a function of the step; it needs no state of its own."""

import math
from dataclasses import dataclass

import torch

from compress.settings import Training

# One-cycle: the rate starts at 1/25 of its peak and ends at 1/10,000 of its start.
# Source: Smith & Topin 2018, arXiv 1708.07120; the numbers are fastai's and torch's.
_START, _END = 1 / 25, 1 / 25e4
_MOMENTUM = (0.95, 0.85)  # at the ends and at the peak


@dataclass(frozen=True)
class Pace:
    """How fast one step learns.

    Attributes:
        rate: learning rate as a share of its peak.
        momentum: SGD's momentum or Adam's first beta; None leaves the optimiser's own.
    """

    rate: float
    momentum: float | None = None


def pace_at(step: int, *, steps: int, settings: Training) -> Pace:
    """The pace of `step` (from 0) of `steps`."""
    if settings.schedule == "one-cycle":
        return _one_cycle(step, steps, settings.warmup)
    return Pace(_cosine(step, steps, settings.warmup))


def _cosine(step: int, steps: int, warmup: float) -> float:
    """A linear rise over the first `warmup` share of the steps, then half a cosine to 0."""
    rising = warmup * steps
    if step < rising:
        return min(1.0, (step + 1) / rising)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, steps - rising)))


def _one_cycle(step: int, steps: int, warmup: float) -> Pace:
    """Half a cosine up, half a cosine down, the momentum the other way about.

    Steps are counted as torch's OneCycleLR does: the peak is step warmup * steps - 1.
    """
    peak, last = warmup * steps - 1, steps - 1
    rising = step <= peak
    share = step / peak if rising and peak > 0 else (step - peak) / max(1.0, last - peak)
    ends = ((_START, 1.0), _MOMENTUM) if rising else ((1.0, _END), _MOMENTUM[::-1])
    rate, momentum = (_half_cosine(start, end, share) for start, end in ends)
    return Pace(rate, momentum)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def set_pace(optimizer: torch.optim.Optimizer, pace: Pace, peak: float) -> None:
    """Give every group the rate and momentum of one step."""
    for group in optimizer.param_groups:
        group["lr"] = peak * pace.rate
        if pace.momentum is not None and "betas" in group:
            group["betas"] = (pace.momentum, group["betas"][1])
        elif pace.momentum is not None:
            group["momentum"] = pace.momentum
