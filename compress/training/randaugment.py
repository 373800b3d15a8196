"""RandAugment: two random operations on each image, of one magnitude.

The operations are Pillow's, those behind torchvision's RandAugment for PIL images. Pillow works on
one image at a time, so that a view cannot depend on its batch, in integers or in one fixed order of
floats; and it needs no torch in the processes that load images.
"""

from collections.abc import Callable
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from compress.training.draws import Draws, Purpose, below
from compress.training.with_pillow import change_each

LARGEST_MAGNITUDE = 30
_OPERATIONS_AN_IMAGE = 2
_REFERENCE_SIDE = 331  # pixels: AutoAugment's images, which moved by up to 150 of them

Change = Callable[[Image.Image], Image.Image]


def randaugment(images: NDArray[np.uint8], magnitude: float, draws: Draws) -> NDArray[np.uint8]:
    """Apply two of the 14 operations to each image.

    Args:
        images: uint8 [B, H, W, C], C = 1 or 3; not written to.
        magnitude: 0 to 30.
        draws: the images' random numbers; they choose operations and signs.

    Returns:
        uint8 [B, H, W, C]; what an operation uncovers is 0.

    Source: Cubuk et al., "RandAugment", arXiv 1909.13719; torchvision's RandAugment.
    """
    table = operations(magnitude, (images.shape[1], images.shape[2]))
    words = draws.words(Purpose.RANDAUGMENT, 2 * _OPERATIONS_AN_IMAGE)
    chosen = below(words[:, 0::2], len(table)).tolist()  # [B, 2]
    negative = below(words[:, 1::2], 2).tolist()  # [B, 2]

    def change(position: int, image: Image.Image) -> Image.Image:
        for operation, sign in zip(chosen[position], negative[position], strict=True):
            image = table[operation][sign](image)
        return image

    return change_each(images, change)


def operations(magnitude: float, size: tuple[int, int]) -> list[tuple[Change, Change]]:
    """The 14 operations for images of height and width `size`: each as it is, and with minus.

    The two are the same for operations without a sign.
    """
    strength = magnitude / LARGEST_MAGNITUDE
    height, width = size
    bits = 8 - round(4 * strength)
    # Exact before its one division; the first whole number that torchvision's threshold spares not.
    threshold = ceil(255 * (LARGEST_MAGNITUDE - magnitude) / LARGEST_MAGNITUDE)
    return [
        _unsigned(_identity),
        _signed(_shear_x, 0.3 * strength),
        _signed(_shear_y, 0.3 * strength),
        _signed(_translate_x, _shift(magnitude, width)),
        _signed(_translate_y, _shift(magnitude, height)),
        _signed(_rotate, 30.0 * strength),
        _signed(_brightness, 0.9 * strength),
        _signed(_color, 0.9 * strength),
        _signed(_contrast, 0.9 * strength),
        _signed(_sharpness, 0.9 * strength),
        _unsigned(partial(ImageOps.posterize, bits=bits)),
        _unsigned(partial(ImageOps.solarize, threshold=threshold)),
        _unsigned(ImageOps.autocontrast),
        _unsigned(ImageOps.equalize),
    ]


def _shift(magnitude: float, side: int) -> int:
    # One division, of exact numbers, so that whole numbers of pixels come out whole.
    return int(150 * magnitude * side / (LARGEST_MAGNITUDE * _REFERENCE_SIDE))


def _unsigned(change: Change) -> tuple[Change, Change]:
    return change, change


def _signed(
    change: Callable[[float, Image.Image], Image.Image], by: float
) -> tuple[Change, Change]:
    return partial(change, by), partial(change, -by)


def _identity(image: Image.Image) -> Image.Image:
    return image


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    """Look up each pixel (x, y) at (a x + b y + c, d x + e y + f), the nearest there is."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def _shear_x(by: float, image: Image.Image) -> Image.Image:
    return _affine(image, 1, by, 0, 0, 1, 0)


def _shear_y(by: float, image: Image.Image) -> Image.Image:
    return _affine(image, 1, 0, 0, by, 1, 0)


def _translate_x(by: float, image: Image.Image) -> Image.Image:
    return _affine(image, 1, 0, -by, 0, 1, 0)


def _translate_y(by: float, image: Image.Image) -> Image.Image:
    return _affine(image, 1, 0, 0, 0, 1, -by)


def _rotate(by: float, image: Image.Image) -> Image.Image:
    return image.rotate(by)


def _brightness(by: float, image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1 + by)


def _color(by: float, image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(1 + by)


def _contrast(by: float, image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1 + by)


def _sharpness(by: float, image: Image.Image) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(1 + by)
