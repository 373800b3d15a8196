"""The shape that every source of images takes: three splits of uint8 images with labels.

train teaches (and calibrates), validation chooses, test is reported and chooses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compress.data.fingerprint import Digests
from compress.errors import DataError
from compress.preprocess import crop_box, resize
from compress.settings import Resize

SPLITS = ("train", "validation", "test")
UNLABELLED = -1  # in place of a label that is not known, or not to be used


class Images(Protocol):
    """Random access to images as batches of one size; memory does not grow with their number."""

    def __len__(self) -> int:
        """Number of images."""

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Images `indices` as uint8 [B, height, width, C], cropped or stretched to the size."""


class ArrayImages:
    """Images that lie in memory.

    Attributes:
        pixels: uint8 [N, H, W, C]; not copied.
        resize: "crop" cuts the centre of the aspect ratio asked for, "stretch" uses all of it.
    """

    def __init__(self, pixels: NDArray[np.uint8], resize: Resize = "crop") -> None:
        """Keep `pixels` and the rule for other sizes."""
        self.pixels = pixels
        self.resize = resize

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`."""
        images = self.pixels[indices]
        if self.resize == "crop":
            top, left, height, width = crop_box(images.shape[1:3], size)
            images = images[:, top : top + height, left : left + width]
        return np.asarray(resize(images, size))


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        images: N images.
        labels: int64 [N], indices into the dataset's classes.
    """

    images: Images
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Images and labels from one source.

    Attributes:
        name: the reference that the user gave.
        classes: class names, in the order of the labels.
        channels: 1 where every image is grey, else 3.
        image_size: height and width where all images are alike, else None.
        train: what teaches.
        validation: what chooses.
        test: what is reported.
        fingerprint: sha256 over content and splits; two equal ones hold the same images.
        notes: what was skipped, and why, in sentences for the user.
        digests: of each image of validation and test in its order, by which a leak is seen; empty
            where the source gave none.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int] | None
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    notes: tuple[str, ...] = ()
    digests: Mapping[str, Digests] = field(default_factory=dict, repr=False, compare=False)

    def split(self, name: str) -> Split:
        """The split called train, validation or test."""
        if name not in SPLITS:
            raise DataError(f"split {name}: expected one of {', '.join(SPLITS)}")
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


class ChosenImages:
    """Some of another source's images, by index; nothing is copied."""

    def __init__(self, images: Images, chosen: NDArray[np.int64]) -> None:
        """Look at `images` through the indices `chosen`, int64 [M]."""
        self.images = images
        self.chosen = chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`."""
        return self.images.batch(self.chosen[indices], size)


def select(split: Split, chosen: NDArray[np.int64]) -> Split:
    """The images `chosen` (int64 [M]) of a split, in that order."""
    return Split(ChosenImages(split.images, chosen), split.labels[chosen])
