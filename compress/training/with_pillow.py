"""Pillow's operations on images of a uint8 batch, one image at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def change_each(
    images: NDArray[np.uint8], change: Callable[[int, Image.Image], Image.Image]
) -> NDArray[np.uint8]:
    """Replace every image by what `change` makes of it.

    Args:
        images: uint8 [B, H, W, C], C = 1 (mode L) or 3 (RGB); not written to.
        change: takes an image's position in the batch and the image; gives one of the same size
            and mode, or the very image where it stays as it is.

    Returns:
        uint8 [B, H, W, C].
    """
    out = images.copy()
    for position, pixels in enumerate(images):
        before = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        after = change(position, before)
        if after is not before:
            out[position] = np.asarray(after).reshape(pixels.shape)
    return out
