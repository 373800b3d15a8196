"""Order and augmentation as pure functions of (seed, epoch) and (seed, view, index).

A step draws nothing from a stream that goes on: a resumed run, another number of processes, and a
teacher that ran long before, see exactly the student's images.
"""

import numpy as np
from numpy.typing import NDArray

from compress.settings import Augmenting
from compress.training.draws import Draws
from compress.training.erasing import erase
from compress.training.geometry import move
from compress.training.randaugment import randaugment

_ORDER = 0  # the stream of a seed's permutations


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which an epoch visits its images: a permutation, int64 [count]."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(_ORDER, epoch))
    return np.random.Generator(np.random.Philox(sequence)).permutation(count)


def augment(images: NDArray[np.uint8], how: Augmenting, draws: Draws) -> NDArray[np.uint8]:
    """All that is done to an image by itself: geometry, then RandAugment, then erasing.

    Args:
        images: uint8 [B, H, W, C]; not written to.
        how: what is switched on.
        draws: the images' random numbers.

    Returns:
        uint8 [B, H, W, C].
    """
    images = move(images, how.augment, draws)
    if how.randaugment:
        images = randaugment(images, how.randaugment, draws)
    if how.erasing:
        images = erase(images, how.erasing, draws)
    return images
