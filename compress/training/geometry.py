"""Where a view looks: shifted, cropped and mirrored whole batches."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compress.settings.augmenting import Kind
from compress.training.boxes import BOX_WORDS, BoxRange, draw_boxes
from compress.training.draws import Draws, Purpose, Words, below
from compress.training.with_pillow import change_each

# Shift of a crop as a share of the image: 4 of 32 pixels, the field's habit for small images.
_PAD_SHARE = 1 / 8
# The field's 0.08 to 1 of the area was set for large networks, which overfit. Small ones underfit:
# MobileNets (arXiv 1704.04861, section 3.2) limit small crops for that reason. 0.35 is the lower
# end of fast.ai's ImageNet script. The shapes are torchvision's.
_CROPS = BoxRange(area=(0.35, 1.0), aspect=(3 / 4, 4 / 3))
# Pixels that are moved at a time: what stays in the cache, and under the 128 KiB from which malloc
# may ask the system for fresh pages each time. At 224 x 224 pixels it halves the time.
_BLOCK_BYTES = 2**16
_TOP, _LEFT, _MIRROR, _BOX = 0, 1, 2, 4  # slots; the same ones for every kind, 3 is free


def move(images: NDArray[np.uint8], kind: Kind, draws: Draws) -> NDArray[np.uint8]:
    """Crop and mirror.

    Args:
        images: uint8 [B, H, W, C]; not written to.
        kind: what is done.
        draws: the images' random numbers.

    Returns:
        uint8 [B, H, W, C]; what a shift uncovers is 0, as in the field's recipes.
    """
    if kind == "none":
        return images
    slots = _BOX + BOX_WORDS if kind.startswith("resized-crop") else _BOX
    words = draws.words(Purpose.GEOMETRY, slots)
    step = max(1, _BLOCK_BYTES // max(1, images[:1].nbytes))
    out = np.empty_like(images)
    for start in range(0, len(images), step):
        block = slice(start, start + step)
        out[block] = _move(images[block], kind, words[block])
    return out


def _move(images: NDArray[np.uint8], kind: Kind, words: Words) -> NDArray[np.uint8]:
    parts = kind.split("+")
    if "crop" in parts:
        images = _shift(images, words)
    elif "resized-crop" in parts:
        images = _resized_crop(images, words)
    if "flip" in parts:
        images = _mirror(images, below(words[:, _MIRROR], 2) == 0)
    return images


def _shift(images: NDArray[np.uint8], words: Words) -> NDArray[np.uint8]:
    """Cut a window of the image's own size from the zero-padded image."""
    count, height, width, channels = images.shape
    pad_y, pad_x = round(height * _PAD_SHARE), round(width * _PAD_SHARE)
    padded = np.zeros((count, height + 2 * pad_y, width + 2 * pad_x, channels), dtype=np.uint8)
    padded[:, pad_y : pad_y + height, pad_x : pad_x + width] = images
    # Rows of bytes, not of pixels: a window's row is then one run of memory.
    rows = padded.reshape(count, height + 2 * pad_y, (width + 2 * pad_x) * channels)
    shape = (height, width * channels)
    # [B, 2 pad_y + 1, 2 pad_x + 1, H, W C]: every window, without a copy
    windows = np.lib.stride_tricks.sliding_window_view(rows, shape, axis=(1, 2))[:, :, ::channels]
    top = below(words[:, _TOP], 2 * pad_y + 1)
    left = below(words[:, _LEFT], 2 * pad_x + 1)
    chosen: NDArray[np.uint8] = windows[np.arange(count), top, left]
    return chosen.reshape(images.shape)


def _mirror(images: NDArray[np.uint8], mirrored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Swap left and right of the images that are `mirrored`, bool [B]."""
    before = images[mirrored]
    after = np.empty_like(before)
    # A channel at a time: numpy copies long strided runs fast, and runs of three bytes slowly.
    for channel in range(images.shape[3]):
        after[..., channel] = before[:, :, ::-1, channel]
    out = images.copy()
    out[mirrored] = after
    return out


def _resized_crop(images: NDArray[np.uint8], words: Words) -> NDArray[np.uint8]:
    """Cut a rectangle and enlarge it to the image's own size.

    Pillow's bilinear enlarging is that of `compress.preprocess.resize`, to the last bit.
    """
    height, width = images.shape[1:3]
    boxes = draw_boxes(words[:, _BOX:], (height, width), (height, width), _CROPS)
    whole_height, whole_width = _fallback(height, width)
    heights = np.where(boxes.found, boxes.heights, whole_height)
    widths = np.where(boxes.found, boxes.widths, whole_width)
    centre_y, centre_x = (height - whole_height) // 2, (width - whole_width) // 2
    tops = np.where(boxes.found, below(words[:, _TOP], height - heights + 1), centre_y)
    lefts = np.where(boxes.found, below(words[:, _LEFT], width - widths + 1), centre_x)
    edges = np.stack([lefts, tops, lefts + widths, tops + heights], axis=1).tolist()

    def enlarge(position: int, image: Image.Image) -> Image.Image:
        left, top, right, bottom = edges[position]
        cut = image.crop((left, top, right, bottom))
        return cut.resize((width, height), Image.Resampling.BILINEAR)

    return change_each(images, enlarge)


def _fallback(height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest centre whose shape a crop may have."""
    flat, wide = _CROPS.aspect
    if width / height < flat:
        return round(width / flat), width
    if width / height > wide:
        return height, round(height * wide)
    return height, width
