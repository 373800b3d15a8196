"""Weights that no CPU's 16-bit sums can overflow, at the least cost in precision.

A scale that makes every pair fit is a third larger than the largest weight alone needs, and so is
the rounding error of all weights of the channel. But few pairs overflow at a smaller one: taking
those few back to the bound costs less than a coarser step for all. Between the two scales lies the
one with the smallest squared error, channel by channel.
"""

from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from compress_export.quantizers.pair_safe import (
    LARGEST_PAIR,
    LARGEST_WEIGHT,
    Weight,
    pair_safe_scales,
    weights_of,
)

_STEPS = 9  # scales tried from the smallest to the one at which no weight is moved
_BLOCK = 2**20  # weights worked on at a time


@dataclass(frozen=True)
class SafeWeight:
    """A weight as it is to be written.

    Attributes:
        weight: as it was.
        scales: per output channel, float32 [O].
        values: in the weight's shape, float32: whole multiples of the scales, safe in pairs.
    """

    weight: Weight
    scales: NDArray[np.float32]
    values: NDArray[np.float32]


def safe_weights(model: onnx.ModelProto) -> dict[str, SafeWeight]:
    """Every constant weight of a float32 graph, by name. Takes seconds for large networks."""
    return {weight.name: project(weight) for weight in weights_of(model)}


def project(weight: Weight) -> SafeWeight:
    """The scales of least squared error, and the weights that they lead to."""
    rows = np.ascontiguousarray(weight.rows(), dtype=np.float32)
    largest = pair_safe_scales(weight)
    alone = pair_safe_scales(replace(weight, exempt=True))
    scales, integers = np.empty_like(largest), np.empty_like(rows)
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        found = _project(rows[part], alone[part], largest[part], weight.exempt)
        scales[part], integers[part] = found
    return SafeWeight(weight, scales, weight.from_rows(integers * scales[:, None]))


def _project(
    rows: NDArray[np.float32],
    alone: NDArray[np.float32],
    largest: NDArray[np.float32],
    exempt: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scales [O] and whole weights [O, K] of some channels [O, K]."""
    best_scales, best = largest.copy(), _round(rows, largest, exempt)
    least = _error(rows, best, largest)
    for share in np.linspace(0, 1, _STEPS)[:-1]:
        scales = (alone + np.float32(share) * (largest - alone)).astype(np.float32)
        integers = _round(rows, scales, exempt)
        error = _error(rows, integers, scales)
        better = error < least
        best_scales[better], best[better], least[better] = (
            scales[better],
            integers[better],
            error[better],
        )
    return best_scales, best


def _round(
    rows: NDArray[np.float32], scales: NDArray[np.float32], exempt: bool
) -> NDArray[np.float32]:
    integers = np.rint(rows / scales[:, None])
    np.clip(integers, -LARGEST_WEIGHT, LARGEST_WEIGHT, out=integers)
    return integers if exempt else shrink_pairs(integers)


def shrink_pairs(integers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take adjacent weights of one sign back to where their sum is safe, both alike; in place.

    Weights only shrink, so that what the first round mended the second does not spoil.

    Args:
        integers: whole numbers from -127 to 127, [O, K].
    """
    for first in (0, 1):
        left, right = integers[:, first:-1:2], integers[:, first + 1 :: 2]
        sums = left + right
        over = np.where(left * right > 0, np.maximum(np.abs(sums) - LARGEST_PAIR, 0), 0)
        signs = np.sign(sums)
        left -= signs * np.ceil(over / 2)
        right -= signs * np.floor(over / 2)
    return integers


def _error(
    rows: NDArray[np.float32], integers: NDArray[np.float32], scales: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Squared error of each channel: [O]."""
    return np.asarray(((integers * scales[:, None] - rows) ** 2).sum(axis=1, dtype=np.float64))
