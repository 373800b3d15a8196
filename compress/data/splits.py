"""Splits are cut class by class, so that each keeps the shares of the classes.

Which images go is decided by an order: in each class the first ones are cut. For files the order
comes from a hash of (seed, name), so it does not depend on how the disk lists them, and a file
that is added moves no image of another class and at most one image a cut in its own.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.fingerprint import DIGEST_BYTES, sortable
from compress.data.wording import counted
from compress.errors import DataError


@dataclass(frozen=True)
class Cut:
    """What one cut is called in messages.

    Attributes:
        subject: the data: a folder, a file or a set's name.
        split: the split that is cut: validation or test.
        classes: class names in the order of the labels.
    """

    subject: str
    split: str
    classes: tuple[str, ...]


def order_of_names(names: Iterable[str], seed: int) -> NDArray[np.int64]:
    """The rank of each name, int64 [N]: a pure function of the set of names and the seed."""
    keys = bytearray()
    for name in names:
        keys += hashlib.sha256(b"%d/%s" % (seed, os.fsencode(name))).digest()
    rows = np.frombuffer(keys, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[np.argsort(sortable(rows))] = np.arange(len(rows))
    return ranks


def order_of_indices(count: int, seed: int) -> NDArray[np.int64]:
    """The rank of each of `count` array entries, int64 [N]: a seeded permutation."""
    return np.random.default_rng(seed).permutation(count)


def take(
    cut: Cut, labels: NDArray[np.int64], order: NDArray[np.int64], fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut a share of each class: at least one image, never all of them.

    Args:
        cut: names for messages.
        labels: int64 [N].
        order: int64 [N], distinct ranks; the lowest of each class are cut.
        fraction: share of each class, over 0 and under 1.

    Returns:
        Sorted indices of what stays and of what is cut, int64 each; disjoint, together all N.

    Raises:
        DataError: a class has a single image.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise DataError(
                f"{cut.subject}: class {cut.classes[label]} has {counted(len(members), 'image')} "
                f"to cut {cut.split} from, expected at least 2; add images of it, "
                f"or bring a {cut.split} split of your own"
            )
        number = min(max(1, round(len(members) * fraction)), len(members) - 1)
        chosen[members[np.argsort(order[members], kind="stable")[:number]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
