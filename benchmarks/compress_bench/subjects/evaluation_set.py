"""Which test images are measured, and at what size: all of them, as far as 64 MB hold them."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import Dataset, Split
from compress.preprocess import Preprocessing

EVALUATION_BYTES = 64_000_000  # of pixels; more makes a bundle slow to send and a board swap

_LARGEST_BATCH = 64
_PIXELS_A_BATCH = 2**20  # a handful at 224 px: activations of a batch stay below some 100 MB


def reading_size(dataset: Dataset, specs: Iterable[Preprocessing]) -> tuple[int, int]:
    """Height and width of the images before preprocessing.

    Their own where all are alike and the whole test split fits at it, or where no network wants
    more; else large enough for each network, whose centre crop takes a share of it.
    """
    wanted = [_before_crop(spec) for spec in specs]
    largest = max(h for h, _ in wanted), max(w for _, w in wanted)
    own = dataset.image_size
    if own is None:
        return largest
    fits = len(dataset.test) * _image_bytes(dataset, own) <= EVALUATION_BYTES
    smaller = own[0] <= largest[0] and own[1] <= largest[1]
    return own if fits or smaller else largest


def _before_crop(spec: Preprocessing) -> tuple[int, int]:
    share = spec.crop_fraction if spec.resize == "crop" else 1.0
    return math.ceil(spec.size[0] / share), math.ceil(spec.size[1] / share)


def _image_bytes(dataset: Dataset, size: tuple[int, int]) -> int:
    return size[0] * size[1] * dataset.channels


def choose_test_images(dataset: Dataset, size: tuple[int, int], seed: int) -> NDArray[np.int64]:
    """All test images, or as many as fit at `size`, class-balanced; int64 indices."""
    return choose_images(dataset, dataset.test, size, seed)


def choose_images(
    dataset: Dataset, split: Split, size: tuple[int, int], seed: int
) -> NDArray[np.int64]:
    """The same of any of the data's splits."""
    most = max(1, EVALUATION_BYTES // _image_bytes(dataset, size))
    return balanced_indices(split.labels, most, seed)


def balanced_indices(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """At most `count` random indices with the classes as even as the labels allow.

    Args:
        labels: int64 [N].
        count: how many.
        seed: of the choice.

    Returns:
        int64 [min(count, N)], ascending.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = np.argsort(labels[shuffled], kind="stable")
    classes, sizes = np.unique(labels, return_counts=True)
    turn = np.concatenate([np.arange(size) for size in sizes]) if len(classes) else by_class
    # The first of each class, then the second of each, until there are enough.
    chosen = by_class[np.argsort(turn, kind="stable")][:count]
    return np.sort(shuffled[chosen]).astype(np.int64)


def read_pixels(
    split: Split, indices: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Images `indices` at `size` as uint8 [N, height, width, C], decoded batch by batch."""
    return np.concatenate([split.images.batch(part, size) for part in batches(indices, size)])


def batches(indices: NDArray[np.int64], *sizes: tuple[int, int]) -> Iterator[NDArray[np.int64]]:
    """Cut indices, int64 [N], into batches that fit the memory at each height and width."""
    largest = max(height * width for height, width in sizes)
    step = max(1, min(_LARGEST_BATCH, _PIXELS_A_BATCH // largest))
    for start in range(0, len(indices), step):
        yield indices[start : start + step]
