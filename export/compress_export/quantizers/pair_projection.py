"""Weights that no CPU's 16-bit sums can overflow, at a small cost in precision.

A scale that makes every pair fit is a third larger than the largest weight alone needs, and so is
the rounding error of all weights of the channel. But few pairs overflow at a smaller one, and
taking those few back to the bound costs less than a coarser step for all. So a row of scales is
tried, channel by channel, and the one taken whose weights do least harm: their squared error, and
the square of its sum, which is what shifts the output, because activations are mostly positive.
Measured on ResNet-18, MobileNetV2 and V3-small (random weights, minmax, decibels of the logits):
30.2, 30.1 and 28.2 at the scale that fits all pairs; 36.4, 35.3 and 32.2 so; 39.5, 36.3 and 31.9
by the same choice without the bound.
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

_STEPS = 33  # scales tried
_LARGEST = 1.1  # of them, over the smallest that holds the largest weight; more to fit all pairs
_BLOCK = 2**17  # weights worked on at a time: they stay in the cache


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
    """The scales that do least harm, and the weights that they lead to."""
    rows = np.ascontiguousarray(weight.rows(), dtype=np.float32)
    alone = pair_safe_scales(replace(weight, exempt=True))
    largest = np.maximum(pair_safe_scales(weight), np.float32(_LARGEST) * alone)
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
    best_scales, best = largest.copy(), round_rows(rows, largest, exempt)
    least = harm(rows, best, largest)
    for share in np.linspace(0, 1, _STEPS, dtype=np.float32)[:-1]:
        scales = alone + share * (largest - alone)
        integers = round_rows(rows, scales, exempt)
        found = harm(rows, integers, scales)
        better = found < least
        best_scales[better] = scales[better]
        best[better] = integers[better]
        least[better] = found[better]
    return best_scales, best


def round_rows(
    rows: NDArray[np.float32], scales: NDArray[np.float32], exempt: bool
) -> NDArray[np.float32]:
    """Whole weights at given scales: rounded, cut at +-127, and safe in pairs unless exempt.

    Args:
        rows: [O, K].
        scales: [O].
        exempt: see `Weight`.
    """
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


def harm(
    rows: NDArray[np.float32], integers: NDArray[np.float32], scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What each channel's errors e do to its output: sum(e^2) + sum(e)^2, [O].

    The variance of the output's error where activations are independent, with a variance equal
    to their squared mean.

    Args:
        rows: as trained, [O, K].
        integers: as they are to be written, [O, K].
        scales: [O].
    """
    errors = integers * scales[:, None]
    errors -= rows
    return np.asarray(np.einsum("ok,ok->o", errors, errors) + errors.sum(axis=1) ** 2)
