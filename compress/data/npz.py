"""An `.npz` file becomes a dataset: arrays named after their split, nothing else unpacked."""

import zipfile
import zlib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.arrays import Labelled, dataset_of_arrays
from compress.data.dataset import Dataset
from compress.data.reading import Reading
from compress.data.wording import counted, reason, some
from compress.errors import DataError

_FORM = (
    "x_train, y_train, x_test and y_test, with or without x_val, y_val and classes "
    "(x: uint8 [N, H, W] or [N, H, W, C], y: integers [N])"
)
_KEYS = {
    "train": ("x_train", "y_train"),
    "validation": ("x_val", "y_val"),
    "test": ("x_test", "y_test"),
}
DAMAGE = (  # what numpy raises at an .npz file that is not whole
    OSError,
    EOFError,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # encrypted, or packed in a way that Python cannot unpack
    MemoryError,  # a damaged header may claim any shape
)


def open_npz(path: Path, reference: str, reading: Reading) -> Dataset:
    """Read an `.npz` file; classes are numbered unless it names them.

    Raises:
        DataError: damaged, keys missing, or arrays that are not images and labels.
    """
    arrays = read_arrays(path, reference)
    _check_keys(reference, set(arrays))
    given = {
        split: Labelled(
            check_images(f"{reference}: {x_key}", arrays[x_key]),
            _labels(f"{reference}: {y_key}", arrays[y_key]),
        )
        for split, (x_key, y_key) in _KEYS.items()
        if x_key in arrays
    }
    for split, (x_key, y_key) in _KEYS.items():
        if split in given and len(given[split].pixels) != len(given[split].labels):
            raise DataError(
                f"{reference}: expected as many labels in {y_key} as images in {x_key} "
                f"({len(given[split].pixels):,}), found {len(given[split].labels):,}; "
                "save both from one list"
            )
    return dataset_of_arrays(reference, _classes(reference, arrays, given), given, reading)


def read_arrays(
    path: Path, reference: str, only: Collection[str] = ()
) -> dict[str, NDArray[np.generic]]:
    """The arrays of an `.npz` file, all or `only` some of them.

    Raises:
        DataError: damaged, or of pickled objects, since they can run code.
    """
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("a single array, not an .npz archive")
            return {key: content[key] for key in content.files if not only or key in only}
    except DAMAGE as error:
        raise DataError(
            f"{reference}: expected a whole .npz file of plain arrays, found one that cannot be "
            f"read ({reason(error)}); write it again with numpy.savez"
        ) from error


def _check_keys(reference: str, keys: set[str]) -> None:
    known = {key for pair in _KEYS.values() for key in pair} | {"classes"}
    required = {*_KEYS["train"], *_KEYS["test"]}
    if keys & {*_KEYS["validation"]}:
        required |= {*_KEYS["validation"]}
    missing = sorted(required - keys)
    if missing:
        raise DataError(
            f"{reference}: expected the arrays {_FORM}, found {some(sorted(keys), 8) or 'none'}; "
            f"add {some(missing)}"
        )
    for key in sorted(keys - known):
        near = get_close_matches(key, sorted(known - keys), n=1, cutoff=0.7)
        if near:
            raise DataError(
                f"{reference}: expected the arrays {_FORM}, found {key}; did you mean {near[0]}?"
            )


def check_images(subject: str, array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An array as images, uint8 [N, H, W, C].

    Raises:
        DataError: of another type or form.
    """
    if array.dtype != np.uint8:
        scaled = array.dtype.kind == "f" and array.size and np.nanmax(array) <= 1.0
        raise DataError(
            f"{subject}: expected uint8 pixels from 0 to 255, found {array.dtype}; "
            f"save {'(x * 255).round()' if scaled else 'x'}.astype('uint8')"
        )
    pixels = array[..., None] if array.ndim == 3 else array
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or 0 in pixels.shape[1:]:
        raise DataError(
            f"{subject}: expected images [N, H, W] or [N, H, W, C] with C 1 or 3, found "
            f"{list(array.shape)}; move the channels to the end"
        )
    return np.asarray(pixels, dtype=np.uint8)


def _labels(subject: str, array: NDArray[np.generic]) -> NDArray[np.int64]:
    if array.ndim != 1:
        raise DataError(
            f"{subject}: expected labels [N], found {list(array.shape)}; "
            "save y.argmax(axis=1) of one-hot labels, or y.ravel() of a column"
        )
    if array.dtype.kind == "f" and np.isnan(array.astype(np.float64)).any():
        missing = int(np.isnan(array.astype(np.float64)).sum())
        raise DataError(
            f"{subject}: expected a label for each image, found {missing:,} of {len(array):,} NaN; "
            "remove those images and save integers"
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{subject}: expected integer labels, found {array.dtype}; number the classes from 0 "
            "and save y.astype('int64')"
        )
    if len(array) and (int(array.min()) < 0 or int(array.max()) >= 2**31):
        raise DataError(
            f"{subject}: expected labels from 0 on, found {int(array.min())} to "
            f"{int(array.max())}; number the classes from 0"
        )
    return array.astype(np.int64)


def _classes(
    reference: str, arrays: dict[str, NDArray[np.generic]], given: dict[str, Labelled]
) -> tuple[str, ...]:
    """The class names in the file, or the numbers up to the largest label."""
    if "classes" not in arrays:
        largest = max((int(p.labels.max()) for p in given.values() if len(p.labels)), default=-1)
        if largest >= (images := sum(len(part.labels) for part in given.values())):
            raise DataError(
                f"{reference}: expected classes numbered without gaps from 0, found the label "
                f"{largest} among {counted(images, 'image')}; number them anew"
            )
        return tuple(str(label) for label in range(largest + 1))
    names = arrays["classes"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"{reference}: expected classes as a list of names, found {names.dtype} "
            f"{list(names.shape)}; save numpy.array([...names...])"
        )
    return tuple(str(name) for name in names.astype(str))
