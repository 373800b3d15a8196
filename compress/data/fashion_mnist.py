"""The full Fashion-MNIST: 60,000 images to train and validate with, its own 10,000 as test."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.arrays import Labelled, dataset_of_arrays
from compress.data.cache import cache_folder
from compress.data.dataset import Dataset
from compress.data.demo import CLASSES
from compress.data.reading import Reading
from compress.data.wording import reason
from compress.errors import DataError, MissingExtraError

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
_PREFIXES = {"train": "train", "test": "t10k"}


def open_fashion_mnist(reading: Reading) -> Dataset:
    """Read it from where Debian puts it, from the cache, or download it with torchvision.

    Raises:
        DataError: it is in neither place and cannot be downloaded, or a file is damaged.
    """
    folder = _find()
    given = {
        split: read_labelled(folder, prefix, "fashion-mnist") for split, prefix in _PREFIXES.items()
    }
    return dataset_of_arrays("fashion-mnist", CLASSES, given, reading)


def read_labelled(folder: Path, prefix: str, reference: str) -> Labelled:
    """Images uint8 [N, 28, 28, 1] and labels of the IDX files `prefix`-..., packed or not."""
    images = _read_idx(_file(folder, f"{prefix}-images-idx3-ubyte"), reference, dimensions=3)
    labels = _read_idx(_file(folder, f"{prefix}-labels-idx1-ubyte"), reference, dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: expected as many labels as images of {prefix} ({len(images):,}), found "
            f"{len(labels):,}; fetch the files again"
        )
    return Labelled(images[..., None], labels.astype(np.int64))


def _find() -> Path:
    """The folder that has all four files."""
    cached = cache_folder() / "torchvision" / "FashionMNIST" / "raw"
    for folder in (DEBIAN_FOLDER, cached):
        if all(_file(folder, f"{p}-images-idx3-ubyte").is_file() for p in _PREFIXES.values()):
            return folder
    try:
        from compress.data.torchvision_set import fetch

        fetch("FashionMNIST", cached.parent.parent)
    except (DataError, MissingExtraError) as error:
        raise DataError(
            f"fashion-mnist: expected it in {DEBIAN_FOLDER} or {cached}, found neither, and it "
            f"cannot be downloaded ({reason(error.__cause__ or error)}); "
            "apt install dataset-fashion-mnist, or connect"
        ) from error
    return cached


def _file(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() else folder / name


def _read_idx(path: Path, reference: str, *, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes.

    Source: the format's description on http://yann.lecun.com/exdb/mnist/ (two zero bytes, 8 for
    unsigned bytes, the number of dimensions, their lengths as big-endian int32, the values).
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        start = 4 + 4 * dimensions
        if content[:4] != bytes([0, 0, 8, dimensions]):
            raise ValueError("another header")
        shape = np.frombuffer(content[4:start], dtype=">i4")
        return np.frombuffer(content[start:], dtype=np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole IDX file of {reference}, found one that cannot be read "
            f"({reason(error)}); fetch it again"
        ) from error
