"""Arrays of images and labels become a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.assemble import Pool, Source, assemble
from compress.data.dataset import ArrayImages, Dataset
from compress.data.fingerprint import pixel_digests
from compress.data.reading import Reading
from compress.data.splits import order_of_indices
from compress.errors import DataError


@dataclass(frozen=True)
class Labelled:
    """One split in memory.

    Attributes:
        pixels: uint8 [N, H, W, C], C = 1 or 3.
        labels: int64 [N], from 0.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def dataset_of_arrays(
    name: str,
    classes: Sequence[str],
    given: Mapping[str, Labelled],
    reading: Reading,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Check the splits that are `given`, train among them, and cut from train what is missing.

    Raises:
        DataError: splits whose images differ in shape, and what `assemble` refuses.
    """
    shape = given["train"].pixels.shape[1:]
    for split, part in given.items():
        if part.pixels.shape[1:] != shape:
            raise DataError(
                f"{name}: expected images [height, width, channels] of {list(shape)} as in train, "
                f"found {list(part.pixels.shape[1:])} in {split}; bring them to one shape"
            )
    source = Source(
        name=name,
        classes=tuple(classes),
        channels=shape[2],
        image_size=(shape[0], shape[1]),
        pools={split: _pool(part, reading) for split, part in given.items()},
        notes=notes,
    )
    return assemble(source, reading)


def _pool(part: Labelled, reading: Reading) -> Pool:
    return Pool(
        images=ArrayImages(part.pixels, reading.resize),
        labels=part.labels,
        digests=pixel_digests(part.pixels),
        order=order_of_indices(len(part.labels), reading.seed),
    )
