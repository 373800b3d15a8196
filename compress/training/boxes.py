"""Random rectangles of a given range of area and shape, as torchvision's transforms draw them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.training.draws import Words, uniform

_TRIES = 10  # rectangles that are drawn until one fits
BOX_WORDS = 2 * _TRIES  # random words that one rectangle takes


@dataclass(frozen=True)
class BoxRange:
    """How large and how slender a rectangle may be.

    Attributes:
        area: smallest and largest share of the image.
        aspect: smallest and largest ratio of width to height; its logarithm is uniform.
    """

    area: tuple[float, float]
    aspect: tuple[float, float]


@dataclass(frozen=True)
class Boxes:
    """The extents of one rectangle an image.

    Attributes:
        heights: int64 [B], in pixels.
        widths: int64 [B], in pixels.
        found: bool [B]; where False, none fitted and the sides mean nothing.
    """

    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    found: NDArray[np.bool_]


def draw_boxes(
    words: Words, size: tuple[int, int], largest: tuple[int, int], ranges: BoxRange
) -> Boxes:
    """The first of ten random rectangles that has pixels and is no larger than `largest`.

    Args:
        words: random words, [B, BOX_WORDS].
        size: height and width of the images, of which areas are shares.
        largest: largest height and width.
        ranges: what may be drawn.

    Source: torchvision's RandomResizedCrop and RandomErasing.
    """
    drawn = uniform(words)
    low, high = ranges.area
    areas = size[0] * size[1] * (low + (high - low) * drawn[:, 0::2])
    flat, wide = np.log(ranges.aspect)
    aspects = np.exp(flat + (wide - flat) * drawn[:, 1::2])
    heights = np.rint(np.sqrt(areas / aspects)).astype(np.int64)  # [B, tries]
    widths = np.rint(np.sqrt(areas * aspects)).astype(np.int64)
    fits = (heights > 0) & (heights <= largest[0]) & (widths > 0) & (widths <= largest[1])
    first = (np.arange(len(words)), fits.argmax(axis=1))
    return Boxes(heights[first], widths[first], fits[first])
