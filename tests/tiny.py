"""Small real inputs that several tests share: images that a small network can learn in seconds."""

from pathlib import Path

import numpy as np

from compress.data.dataset import ArrayImages, Dataset, Split

CLASSES = ("bars", "columns", "blank")


def images(count: int, seed: int, size: int = 16, channels: int = 1) -> tuple:
    """uint8 [count, size, size, channels] of bars, columns or noise, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 60, (count, size, size, channels), dtype=np.uint8)
    stripes = (np.arange(size) // 2 % 2 * 150).astype(np.uint8)
    pixels[labels == 0] += stripes[None, :, None, None]
    pixels[labels == 1] += stripes[None, None, :, None]
    return pixels, labels.astype(np.int64)


def dataset(train: int = 96, size: int = 16, channels: int = 1) -> Dataset:
    """Three splits of such images."""
    splits = {
        name: Split(ArrayImages(pixels), labels)
        for name, (pixels, labels) in {
            "train": images(train, 1, size, channels),
            "validation": images(48, 2, size, channels),
            "test": images(60, 3, size, channels),
        }.items()
    }
    return Dataset(
        name="tiny",
        classes=CLASSES,
        channels=channels,
        image_size=(size, size),
        fingerprint="tiny",
        **splits,
    )


def write_npz(path: Path, train: int = 96, size: int = 16) -> Path:
    """The same images as the user's own .npz."""
    parts = {
        "train": images(train, 1, size),
        "val": images(48, 2, size),
        "test": images(60, 3, size),
    }
    arrays = {}
    for name, (pixels, labels) in parts.items():
        arrays |= {f"x_{name}": pixels[..., 0], f"y_{name}": labels}
    np.savez(path, classes=np.array(CLASSES), **arrays)
    return path
