"""The range that loses least information: the smallest divergence of the quantised distribution."""

import numpy as np
from numpy.typing import NDArray

from compress_export.calibration import Observed, Range
from compress_export.calibration._histogram import Histogram
from compress_export.calibration._search import LEVELS, quantiser, search_range

NEEDS_HISTOGRAM = True

_Array = NDArray[np.float64]


def find_range(observed: Observed) -> Range:
    """Search both ends for the smallest Kullback-Leibler divergence KL(P || Q), in nats.

    P is the histogram within the range, with what lies outside moved into its first and last bin.
    Q is the histogram within the range without that, each level of uint8 spread evenly over those
    of its bins that hold anything, and a symbol of its own for what was clipped: both sum to one,
    each value counts once, and a range of a single bin does not look free of loss. A range whose
    outer bin is empty and yet has to take what lies outside costs infinity. Zero is exact at every
    range: the many zeros behind a ReLU count no more than the bin beside theirs.

    Source: Migacz 2017, "8-bit inference with TensorRT" (GTC S7310), there for one symmetric
    threshold and 128 levels; here for both ends and the 256 levels of uint8. The zeros as in
    NVIDIA's pytorch-quantization, calib/histogram.py.
    """
    assert observed.histogram is not None
    return search_range(observed.histogram, _Divergence(observed.histogram).cost)


class _Divergence:
    """Prefix sums over bins, from which a candidate costs as many steps as uint8 has levels."""

    def __init__(self, histogram: Histogram) -> None:
        # Zero is within every range: bins up to it exist, if empty.
        before = max(histogram.first, 0)
        after = max(-histogram.first - len(histogram.counts), 0)
        self.first = min(histogram.first, 0)
        counts = _without_zeros(np.pad(histogram.counts, (before, after)), -self.first)
        self.counts = counts / counts.sum()
        self.mass = _prefix(self.counts)
        self.filled = _prefix((counts > 0).astype(np.float64))
        self.negentropy = _prefix(_times_log(self.counts, self.counts))

    def cost(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> _Array:
        """KL(P || Q) in nats of the ranges of bins low .. high - 1, [K]."""
        scale, zero = quantiser(low, high)
        levels = np.arange(1, LEVELS) - zero[:, None]
        # A bin belongs to the level next to its centre.
        inner = np.rint((levels - 0.5) * scale[:, None]).astype(np.int64)
        ends = low[:, None], high[:, None]
        borders = np.hstack([ends[0], np.clip(inner, *ends), ends[1]]) - self.first  # [K, 257]
        mass = np.diff(self.mass[borders], axis=1)
        filled = np.diff(self.filled[borders], axis=1)
        q = mass / np.maximum(filled, 1)  # of each filled bin of a level
        inside = self.negentropy[borders[:, -1]] - self.negentropy[borders[:, 0]]
        kl = np.asarray(inside - _times_log(mass, q).sum(axis=1), dtype=np.float64)
        below, above = self.mass[borders[:, 0]], self.mass[-1] - self.mass[borders[:, -1]]
        kl += self._moved(below, self.counts[borders[:, 0]], _of_bin(q, borders, first=True))
        kl += self._moved(above, self.counts[borders[:, -1] - 1], _of_bin(q, borders, first=False))
        return kl

    @staticmethod
    def _moved(outside: _Array, own: _Array, q: _Array) -> _Array:
        """What `outside`, put into a bin that holds `own` and that Q gives `q`, adds."""
        p = own + outside
        with np.errstate(divide="ignore", invalid="ignore"):
            added = p * np.log(p / q) - np.where(own > 0, own * np.log(own / q), 0.0)
        empty = np.where(outside > 0, np.inf, 0.0)
        return np.where((outside > 0) & (own > 0), added, empty)


def _without_zeros(counts: NDArray[np.int64], zero: int) -> NDArray[np.int64]:
    """The bin at `zero` cut down to its larger neighbour; as it is if both are empty."""
    left = counts[zero - 1] if zero > 0 else 0
    right = counts[zero + 1] if zero + 1 < len(counts) else 0
    if zero >= len(counts) or not max(left, right):
        return counts
    cut = counts.copy()
    cut[zero] = min(counts[zero], max(left, right))
    return cut


def _of_bin(q: _Array, borders: NDArray[np.int64], *, first: bool) -> _Array:
    """Q in the first or last bin of each range: in its first or last level that has bins."""
    wide = np.diff(borders, axis=1) > 0
    at = wide.argmax(axis=1) if first else LEVELS - 1 - wide[:, ::-1].argmax(axis=1)
    return np.asarray(q[np.arange(len(q)), at], dtype=np.float64)


def _prefix(values: _Array) -> _Array:
    return np.concatenate([[0.0], np.cumsum(values)])


def _times_log(weight: _Array, value: _Array) -> _Array:
    """Weight log(value), and 0 where the weight is 0."""
    return np.asarray(weight * np.log(np.where(weight > 0, value, 1.0)), dtype=np.float64)
