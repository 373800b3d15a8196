"""Augmentation as a pure function of (seed, view, index).

Image i of view v looks the same whatever the batch, the order or the number of workers, so that a
resumed run, and a teacher that ran long before, see exactly the student's images.
"""

import numpy as np
from numpy.typing import NDArray

KINDS = ("crop+flip", "crop", "flip", "none")

# Shift of a crop as a share of the image: 4 of 32 pixels, the field's habit for small images.
_PAD_SHARE = 1 / 8
_ORDER, _VIEW = 0, 1  # streams of one seed that must not overlap


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which an epoch visits its images: a permutation, int64 [count]."""
    return _stream(seed, _ORDER, epoch).permutation(count)


def draws(seed: int, view: int, count: int) -> NDArray[np.float32]:
    """The random numbers of one view: float32 [count, 3], uniform on [0, 1).

    Row i depends on seed, view and i alone: a longer stream begins with the shorter one.
    """
    return _stream(seed, _VIEW, view).random((count, 3), dtype=np.float32)


def _stream(seed: int, purpose: int, number: int) -> np.random.Generator:
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(purpose, number))
    return np.random.Generator(np.random.Philox(sequence))


def augment(
    images: NDArray[np.uint8], numbers: NDArray[np.float32], kind: str
) -> NDArray[np.uint8]:
    """Shift and mirror.

    Args:
        images: uint8 [B, H, W, C].
        numbers: the images' rows of `draws`, float32 [B, 3]: down, right, mirror.
        kind: one of KINDS.

    Returns:
        uint8 [B, H, W, C]; what a shift uncovers is 0, as in the field's recipes.
    """
    if "crop" in kind:
        images = _shift(images, numbers[:, :2])
    if "flip" in kind:
        mirrored = numbers[:, 2] < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return images


def _shift(images: NDArray[np.uint8], numbers: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut a window of the image's own size from the zero-padded image."""
    height, width = images.shape[1:3]
    pad_y, pad_x = round(height * _PAD_SHARE), round(width * _PAD_SHARE)
    padded = np.pad(images, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    # [B, 2 pad_y + 1, 2 pad_x + 1, C, H, W]: every window, without a copy
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top = (numbers[:, 0] * (2 * pad_y + 1)).astype(np.int64)
    left = (numbers[:, 1] * (2 * pad_x + 1)).astype(np.int64)
    chosen: NDArray[np.uint8] = windows[np.arange(len(images)), top, left]
    return chosen.transpose(0, 2, 3, 1)
