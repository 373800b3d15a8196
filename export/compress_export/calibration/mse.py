"""The range whose uint8 rounding and clipping together err least, in expected squares."""

import numpy as np
from numpy.typing import NDArray

from compress_export.calibration import Observed, Range
from compress_export.calibration._histogram import Histogram
from compress_export.calibration._search import LEVELS, quantiser, search_range

NEEDS_HISTOGRAM = True

_Array = NDArray[np.float64]


def find_range(observed: Observed) -> Range:
    """Search both ends; values are spread evenly within each bin of the histogram.

    The error is exact under that distribution, not the usual step^2/12: with x rounded to level n
    of step s it is the sum over n of the integral of (x - s n)^2, whose parts are differences of
    the first three cumulative moments at the borders between levels.

    Source: Banner et al. 2019, arXiv 1810.05723, section 3 (clipping against rounding).
    """
    assert observed.histogram is not None
    moments = _Moments(observed.histogram)
    return search_range(observed.histogram, moments.squared_error)


class _Moments:
    """Cumulative moments of the piecewise even distribution, with x in bins."""

    def __init__(self, histogram: Histogram) -> None:
        self.edges = histogram.first + np.arange(len(histogram.counts) + 1, dtype=np.float64)
        self.density = histogram.counts / histogram.counts.sum()
        self.powers = _integrals(self.edges)  # [3, bins + 1]
        parts = np.cumsum(self.density * np.diff(self.powers), axis=1)
        self.at_edges = np.pad(parts, ((0, 0), (1, 0)))  # [3, bins + 1]

    def up_to(self, x: _Array) -> _Array:
        """The integrals of 1, x and x^2 from below everything up to each x, [3, ...]."""
        x = np.clip(x, self.edges[0], self.edges[-1])
        index = np.minimum((x - self.edges[0]).astype(np.int64), len(self.density) - 1)
        within = self.density[index] * (_integrals(x) - self.powers[:, index])
        return np.asarray(self.at_edges[:, index] + within, dtype=np.float64)

    def squared_error(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> _Array:
        """Expected squared error of uint8 over [low, high], in squared bins, [K]."""
        scale, zero = quantiser(low, high)
        levels = np.arange(LEVELS) - zero[:, None]  # [K, 256]
        borders = (levels[:, 1:] - 0.5) * scale[:, None]
        far = np.full((len(scale), 1), np.inf)
        zeroth, first, second = np.diff(self.up_to(np.hstack([-far, borders, far])), axis=2)
        values = levels * scale[:, None]
        error = (second - 2 * values * first + values**2 * zeroth).sum(axis=1)
        return np.asarray(error, dtype=np.float64)


def _integrals(x: _Array) -> _Array:
    """Antiderivatives of 1, x and x^2, [3, ...]; products, since powers are ten times slower."""
    return np.stack([x, x * x / 2, x * x * x / 3])
