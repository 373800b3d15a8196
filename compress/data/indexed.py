"""Sets that hand out (PIL image, class number) by index, as torchvision's do."""

import operator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compress.data.facts import Facts
from compress.data.fingerprint import DIGEST_BYTES, Digests, pixel_digest
from compress.data.image import eight_bit, fit, is_grey
from compress.data.wording import reason
from compress.errors import DataError
from compress.preprocess import convert_channels
from compress.progress import Progress
from compress.settings import Resize

_IN_MEMORY_BYTES = 512 * 2**20  # a larger set stays where it is and is decoded as needed


class Items(Protocol):
    """What torchvision calls a dataset."""

    def __len__(self) -> int:
        """Number of items."""

    def __getitem__(self, index: int) -> Any:
        """The image and its class."""


@dataclass(frozen=True)
class Collected:
    """What one pass over a set finds.

    Attributes:
        labels: int64 [N].
        facts: digest of the pixels, size and colour of each image.
        pixels: uint8 [H, W, C] each, or nothing where they would fill the memory.
    """

    labels: NDArray[np.int64]
    facts: Facts
    pixels: list[NDArray[np.uint8]]

    def stacked(self, channels: int) -> NDArray[np.uint8]:
        """All pixels as uint8 [N, H, W, channels]; their sizes must agree."""
        same = [convert_channels(image[None], channels)[0] for image in self.pixels]
        return np.stack(same)


class IndexedImages:
    """Images of a set, decoded as they are asked for.

    Attributes:
        name: the reference that the user gave.
        items: N images with their classes.
        channels: 1 or 3, for every batch.
        resize: "crop" or "stretch".
    """

    def __init__(self, name: str, items: Items, channels: int, resize: Resize) -> None:
        """Keep the set."""
        self.name = name
        self.items = items
        self.channels = channels
        self.resize = resize

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`.

        Raises:
            DataError: an item that could be read when the set was opened cannot be any more.
        """
        out = np.empty((len(indices), *size, self.channels), dtype=np.uint8)
        for i, index in enumerate(indices):
            image, _ = _item(self.items, int(index), self.name)
            image = fit(image.convert("L" if self.channels == 1 else "RGB"), size, self.resize)
            out[i] = np.asarray(image).reshape(*size, self.channels)
        return out


def collect(items: Items, reference: str, progress: Progress) -> Collected:
    """Look at every item once.

    Raises:
        DataError: an item that is no image with one class number, or cannot be read.
    """
    labels = np.empty(len(items), dtype=np.int64)
    digests = Digests("pixels", np.empty((len(items), DIGEST_BYTES), dtype=np.uint8))
    sizes = np.empty((len(items), 2), dtype=np.int32)
    grey = np.empty(len(items), dtype=bool)
    kept: list[NDArray[np.uint8]] = []
    size_bytes = 0
    with progress.task(f"reading {reference}", total=len(items)) as advance:
        for index in range(len(items)):
            image, labels[index] = _item(items, index, reference)
            pixels = np.asarray(image).reshape(image.height, image.width, -1)
            digests.rows[index] = np.frombuffer(pixel_digest(pixels), dtype=np.uint8)
            sizes[index] = image.height, image.width
            grey[index] = is_grey(image)
            size_bytes += pixels.nbytes
            if size_bytes <= _IN_MEMORY_BYTES:
                kept.append(pixels)
            else:
                kept.clear()
            advance(1)
    return Collected(labels, Facts(digests, sizes, grey), kept)


def _item(items: Items, index: int, reference: str) -> tuple[Image.Image, int]:
    try:
        image, target = items[index]
        if not isinstance(image, Image.Image):
            raise TypeError(f"a {type(image).__name__} in place of an image")
        return eight_bit(image), operator.index(target)
    except Exception as error:  # sets of other tasks, and damaged files, fail in many ways
        raise DataError(
            f"{reference}: expected an image and one class number as item {index}, found "
            f"something else ({reason(error)}); take a classification set, or mend its files"
        ) from error
