"""Few labels, many images: the case where a teacher is known to pay."""

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import Split, select
from compress.errors import UsageError
from compress.training.batches import UNLABELLED


def hide_labels(split: Split, count: int, seed: int) -> Split:
    """The same images with all but `count` labels hidden; 0 hides none."""
    if not count:
        return split
    labels = np.full_like(split.labels, UNLABELLED)
    kept = _labelled(split, count, seed)
    labels[kept] = split.labels[kept]
    return Split(split.images, labels)


def labelled_part(split: Split, count: int, seed: int) -> Split:
    """Only the images whose labels `hide_labels` leaves, repeated to the length of the split.

    So the student without a teacher makes as many steps an epoch as the one with it, and sees
    each repetition through another augmentation. A `count` of 0 is all images, once.
    """
    if not count:
        return split
    return select(split, np.resize(_labelled(split, count, seed), len(split)))


def _labelled(split: Split, count: int, seed: int) -> NDArray[np.int64]:
    """Class-balanced indices, int64 [count], sorted: the k-th image of each class, then k + 1."""
    if count > len(split):
        raise UsageError(f"--labels {count}: expected at most {len(split)}, the training images")
    shuffled = np.random.default_rng(seed).permutation(len(split))
    labels = split.labels[shuffled]
    rank = np.empty(len(split), dtype=np.int64)  # how many of its class come before it
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(members.sum())
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:count]])
