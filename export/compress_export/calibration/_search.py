"""The two ends of a range that cost least, among the edges of a histogram's bins."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compress_export.calibration import Range
from compress_export.calibration._histogram import Histogram

# Costs [K] of the ranges whose ends are low[k] <= 0 and high[k] >= 0, in bins.
Cost = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

LEVELS = 256  # of uint8

_POINTS = 9  # of each later look between the neighbours of the best end
_AT_A_TIME = 64  # ranges, so that what is worked out for them stays in the CPU's cache


def search_range(histogram: Histogram, cost: Cost) -> Range:
    """The cheapest range that contains 0; of equally cheap ones the widest.

    Looks at a geometric grid of both ends together, then closer and closer around the best.
    """
    low_end = min(histogram.first, 0)
    high_end = max(histogram.first + len(histogram.counts), 0)
    lows, highs = -_geometric(-low_end)[::-1], _geometric(high_end)
    while True:
        low, high = _cheapest(lows, highs, cost)
        if _has_all(lows) and _has_all(highs):
            return float(low * histogram.width), float(high * histogram.width)
        lows, highs = _closer(lows, low), _closer(highs, high)


def quantiser(
    low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Step and zero point of uint8 for ranges [K], as every QDQ writer rounds them."""
    scale = (high - low) / (LEVELS - 1)
    return scale, np.rint(-low / scale)


def _geometric(end: int) -> NDArray[np.int64]:
    if end == 0:
        return np.zeros(1, dtype=np.int64)
    # Halves: an outlier may be a thousand times the rest.
    return np.unique(end >> np.arange(end.bit_length()))


def _closer(grid: NDArray[np.int64], best: int) -> NDArray[np.int64]:
    """Evenly between the neighbours of the best point, which stays."""
    at = int(np.searchsorted(grid, best))
    start, stop = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    points = np.rint(np.linspace(start, stop, _POINTS)).astype(np.int64)
    return np.union1d(points, [best])


def _has_all(grid: NDArray[np.int64]) -> bool:
    """Whether no bin's edge between its ends is left out."""
    return bool(np.ptp(grid) == len(grid) - 1)


def _cheapest(lows: NDArray[np.int64], highs: NDArray[np.int64], cost: Cost) -> tuple[int, int]:
    low, high = (ends.ravel() for ends in np.meshgrid(lows, highs))
    low, high = low[high > low], high[high > low]
    parts = len(low) // _AT_A_TIME + 1
    costs = np.concatenate(
        [cost(*ends) for ends in zip(*(np.array_split(e, parts) for e in (low, high)), strict=True)]
    )
    # Rounding in the last digits must not decide between equals.
    best = np.lexsort((low, low - high, np.round(costs, 12)))[0]
    return int(low[best]), int(high[best])
