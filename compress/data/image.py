"""One image file becomes upright 8-bit pixels, grey or RGB, whatever form it has on disk.

Grey, palette, RGBA, CMYK and 16-bit files are converted; transparency is dropped; the orientation
that a camera wrote is applied; of an animation the first frame counts.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from compress.data.wording import reason
from compress.errors import DataError
from compress.preprocess import crop_box
from compress.settings import Resize

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # 16 bits, whatever integer holds them
_GREY_MODES = ("1", "L", "LA", "La")


def load_image(path: Path) -> NDArray[np.uint8]:
    """Read one image file.

    Returns:
        uint8 [H, W, C], upright; C is 1 for a file without colour, else 3 (RGB).

    Raises:
        DataError: missing, no image, damaged, or larger than Pillow deems safe.
    """
    try:
        with strict_pillow():
            return as_pixels(decode(path))
    except ValueError as error:
        raise DataError(
            f"{path}: expected an image, found one that cannot be read ({error}); "
            "convert it, or take another"
        ) from error


def decode(path: Path) -> Image.Image:
    """Decode a file in full.

    Returns:
        An upright image of mode L or RGB.

    Raises:
        ValueError: why it cannot be read, in a few words.
    """
    try:
        with Image.open(path) as image:
            image.load()
            with suppress(Exception):  # broken EXIF spoils no pixel
                ImageOps.exif_transpose(image, in_place=True)
            return eight_bit(image)
    except MemoryError:
        raise
    except UnidentifiedImageError:
        raise ValueError("of no known image format") from None
    except OSError as error:
        raise ValueError(error.strerror or reason(error)) from error
    except Exception as error:  # broken bytes make decoders raise many kinds
        raise ValueError(reason(error)) from error


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Make an image of suspicious size an error, and silence Pillow's other warnings.

    Warning filters belong to the process: enter this in the main thread, around all workers.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def eight_bit(image: Image.Image) -> Image.Image:
    """Convert any mode to L or RGB.

    Raises:
        ValueError: pixels whose range is unknown, or a mode that has no RGB.
    """
    if image.mode in _DEEP_MODES:
        return _from_16_bits(np.asarray(image))
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is unknown")
    if image.mode in _GREY_MODES:
        return image.convert("L")
    if "transparency" in image.info and image.mode == "P":
        return image.convert("RGBA").convert("RGB")  # the way round that Pillow does not warn of
    return image.convert("RGB")


def _from_16_bits(values: NDArray[np.generic]) -> Image.Image:
    wide = values.astype(np.int64)
    if wide.size and (wide.min() < 0 or wide.max() > 0xFFFF):
        raise ValueError("pixels of more than 16 bits")
    return Image.fromarray(((wide * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8))


def is_grey(image: Image.Image) -> bool:
    """Whether an image of mode L or RGB shows no colour: red, green and blue agree everywhere."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image)
    for step in (16, 1):  # a coarse look first: most photographs end here
        part = pixels[::step, ::step]
        if (part[..., :1] != part[..., 1:]).any():
            return False
    return True


def fit(image: Image.Image, size: tuple[int, int], resize: Resize) -> Image.Image:
    """Bring an image to height and width `size`, as `compress.preprocess` does with arrays."""
    if resize == "crop":
        top, left, height, width = crop_box((image.height, image.width), size)
        image = image.crop((left, top, left + width, top + height))
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def as_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of mode L or RGB as uint8 [H, W, C]; one channel where there is no colour."""
    pixels = np.asarray(image if not is_grey(image) else image.convert("L"))
    return pixels.reshape(image.height, image.width, -1)
