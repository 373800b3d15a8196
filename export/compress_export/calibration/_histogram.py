"""Running histograms whose result depends on the values alone, not on their order.

The bins' width is a power of two, 2^k, and bin i holds the values in [i 2^k, (i+1) 2^k). Values
that leave the range double the width: bins i and i+1, i even, become bin i/2. Since halving an
index and halving its value round alike, the counts are those that the final width would have given
from the start, whatever came first. All of it is exact: scaling by a power of two does not round,
and every value is counted.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bins on each side of zero: a one-sided tensor fills more than half of them, so that even at its
# full range eight bins or more share a step of uint8.
BINS = 4096

_SMALLEST_EXPONENT = -126  # of a width whose inverse float32 can hold
_CHUNK = 1 << 16  # values at a time: small enough for the CPU's cache


@dataclass(frozen=True)
class Histogram:
    """Counts of values.

    Attributes:
        counts: int64 [bins], none of the outer two zero.
        width: of a bin, a power of two.
        first: bin j of `counts` holds the values in [(first + j) width, (first + j + 1) width).
    """

    counts: NDArray[np.int64]
    width: float
    first: int


class RunningHistogram:
    """Counts float32 values as they come."""

    def __init__(self) -> None:
        self._exponent = _SMALLEST_EXPONENT
        self._counts = np.zeros(2 * BINS, dtype=np.int64)  # of bins -BINS .. BINS - 1

    def add(self, values: NDArray[np.float32], low: float, high: float) -> None:
        """Count every value.

        Args:
            values: any shape, finite, and of at least one element.
            low: the smallest of them.
            high: the largest of them.
        """
        self._widen(_exponent(low, high))
        flat = values.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            self._count(flat[start : start + _CHUNK], signed=low < 0)

    def result(self) -> Histogram:
        """What was counted so far.

        Raises:
            ValueError: nothing was.
        """
        (filled,) = np.nonzero(self._counts)
        if not filled.size:
            raise ValueError("histogram: expected values before its result, found none")
        first, last = int(filled[0]), int(filled[-1])
        counts = self._counts[first : last + 1].copy()
        return Histogram(counts, math.ldexp(1.0, self._exponent), first - BINS)

    def _widen(self, exponent: int) -> None:
        if exponent <= self._exponent:
            return
        (filled,) = np.nonzero(self._counts)
        merged = np.zeros_like(self._counts)
        # A shift rounds down, also below zero; beyond 63 it is not defined.
        shift = min(exponent - self._exponent, 63)
        np.add.at(merged, ((filled - BINS) >> shift) + BINS, self._counts[filled])
        self._counts, self._exponent = merged, exponent

    def _count(self, chunk: NDArray[np.float32], *, signed: bool) -> None:
        # In float32 the least negative values would vanish where bins are wider than 1.
        exact = np.float64 if signed and self._exponent > 0 else np.float32
        scaled = np.multiply(chunk, math.ldexp(1.0, -self._exponent), dtype=exact)
        bins = BINS
        if signed:
            bins *= 2
            np.floor(scaled, out=scaled)  # what is not negative is rounded down by the cast
            scaled += BINS
        self._counts[-bins:] += np.bincount(scaled.astype(np.int64), minlength=bins)


def _exponent(low: float, high: float) -> int:
    """The smallest k for which bins -BINS .. BINS - 1 of width 2^k hold low and high."""
    bits = BINS.bit_length() - 1
    upper = math.frexp(high)[1] if high > 0 else _SMALLEST_EXPONENT + bits
    fraction, lower = math.frexp(-low) if low < 0 else (1.0, _SMALLEST_EXPONENT + bits)
    if fraction == 0.5:  # bin -BINS holds its own lower edge
        lower -= 1
    return max(upper - bits, lower - bits, _SMALLEST_EXPONENT)
