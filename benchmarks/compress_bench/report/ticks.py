"""Few, round ticks, whose labels have room."""

from math import ceil, floor, log10
from typing import Any

_STEPS = ((1, 1.5, 2, 2.5, 3, 4, 5, 7), (1, 2, 5), (1, 3), (1,))  # of ticks within a decade


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten between two costs, with round steps between them where there is room."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        ticks = [step * 10.0**power for power in powers for step in steps]
        ticks = [value for value in ticks if low <= value <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def inner_ticks(axes: Any, room: float = 0.035) -> list[float]:
    """The ticks of the horizontal axis without those whose label would stand over its end.

    Args:
        axes: with its limits and ticks set.
        room: at either end, as a share of the width; zero keeps its short label.
    """
    low, high = axes.get_xlim()
    shown = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
    to_share = axes.transLimits.transform
    scaled = axes.transScale.transform
    shares = [float(to_share(scaled((tick, 1)))[0]) for tick in shown]
    return [
        tick
        for tick, share in zip(shown, shares, strict=True)
        if tick == 0 or room <= share <= 1 - room
    ]
