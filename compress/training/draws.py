"""Random numbers with random access: each a pure function of (seed, purpose, view, index, slot).

Philox is a cipher over a counter. The counter here spells out what a number is for, so the numbers
of any images can be had in any order and in any process, without the stream that led to them, and
two different uses never meet.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # holds 32 random bits; wider, so that products have room

_ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], dtype=np.uint64)
_KEY_STEPS = np.array([[0x9E3779B9], [0xBB67AE85]], dtype=np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)  # bits
_BLOCK_BITS = 24  # of the last counter word; the bits above hold the purpose


class Purpose(IntEnum):
    """What a number is for; a stream of its own, so that switching one on changes no other."""

    GEOMETRY = 0
    RANDAUGMENT = 1
    ERASING = 2
    NOISE = 3
    MIXING = 4


@dataclass(frozen=True)
class Draws:
    """The random numbers of some images of one view.

    Attributes:
        seed: 0 to 2^64 - 1.
        view: number of the view, 0 to 2^32 - 1.
        indices: int64 [B], the images' positions in their split.
    """

    seed: int
    view: int
    indices: NDArray[np.int64]

    def words(self, purpose: Purpose, count: int) -> Words:
        """The first `count` numbers of each image: uint64 [B, count], each below 2^32.

        Row b depends on the seed, the view, the purpose and indices[b] alone; a longer row begins
        with the shorter one.
        """
        numbers = np.arange(-(-count // 4))
        return self.blocks(purpose, self.indices[:, None], numbers).reshape(
            len(self.indices), 4 * len(numbers)
        )[:, :count]

    def blocks(
        self, purpose: Purpose, indices: NDArray[np.int64], numbers: NDArray[np.int64]
    ) -> Words:
        """Blocks of four numbers: block `numbers` of image `indices`, which broadcast.

        Returns:
            uint64 [..., 4], each below 2^32.
        """
        index, number = np.broadcast_arrays(indices.astype(np.uint64), numbers.astype(np.uint64))
        counter = np.empty((4, index.size), dtype=np.uint64)
        counter[0] = index.ravel() & _LOW
        counter[1] = index.ravel() >> _HALF
        counter[2] = self.view
        counter[3] = number.ravel() | np.uint64(purpose << _BLOCK_BITS)
        key = (self.seed & 0xFFFFFFFF, self.seed >> 32)
        return philox(counter, key).T.reshape(*index.shape, 4)


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10.

    Args:
        counter: uint64 [4, n], each below 2^32.
        key: two numbers below 2^32.

    Returns:
        uint64 [4, n], each below 2^32.

    Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    even, odd = counter[0::2], counter[1::2]  # words 0 and 2, words 1 and 3
    round_key = np.array([[key[0]], [key[1]]], dtype=np.uint64)
    for _ in range(_ROUNDS):
        product = even * _MULTIPLIERS
        even = (product[::-1] >> _HALF) ^ odd ^ round_key
        odd = (product & _LOW)[::-1]
        round_key = (round_key + _KEY_STEPS) & _LOW
    return np.stack([even[0], odd[0], even[1], odd[1]])


def uniform(words: Words) -> NDArray[np.float64]:
    """Random words as numbers over 0 and under 1, both ends left out; float64 of the same shape."""
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def below(words: Words, bound: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Random words as whole numbers 0 to bound - 1; `bound` is 1 to 2^32 and broadcasts."""
    return ((words * np.asarray(bound, dtype=np.uint64)) >> _HALF).astype(np.int64)
