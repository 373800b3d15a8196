"""Make the embedded images again: `python -m compress.data.build_demo [--source DIR]`.

Reads the training split of Fashion-MNIST only, cuts it class by class, and refuses to write arrays
whose fingerprint differs from the one in `demo.py`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import atomic_path
from compress.data.arrays import Labelled, dataset_of_arrays
from compress.data.demo import CLASSES, FILE, FINGERPRINT
from compress.data.fashion_mnist import DEBIAN_FOLDER, read_labelled
from compress.data.reading import Reading
from compress.errors import CompressError, DataError

_SEED = 2017
# Per class, positions in a seeded permutation: 900, 100 and 200 images.
_RANGES = {"train": slice(0, 900), "validation": slice(900, 1000), "test": slice(1000, 1200)}
_NAMES = {"train": "train", "validation": "val", "test": "test"}


def cut(source: Path) -> dict[str, Labelled]:
    """The three splits of the demo, cut from the training split in `source`."""
    full = read_labelled(source, "train", "Fashion-MNIST")
    rng = np.random.default_rng(_SEED)
    chosen: dict[str, list[NDArray[np.int64]]] = {split: [] for split in _RANGES}
    for label in range(len(CLASSES)):
        shuffled = rng.permutation(np.flatnonzero(full.labels == label))
        for split, positions in _RANGES.items():
            chosen[split].append(shuffled[positions])
    sorted_indices = {split: np.sort(np.concatenate(parts)) for split, parts in chosen.items()}
    return {s: Labelled(full.pixels[i], full.labels[i]) for s, i in sorted_indices.items()}


def build(source: Path, out: Path, expected: str = FINGERPRINT) -> str:
    """Write the embedded file.

    Args:
        source: folder with the IDX files of the training split.
        out: the `.npz` file.
        expected: fingerprint that the arrays must have.

    Returns:
        The fingerprint.

    Raises:
        DataError: the source is missing or damaged, or gives other arrays.
    """
    parts = cut(source)
    found = dataset_of_arrays("demo", CLASSES, parts, Reading()).fingerprint
    if found != expected:
        raise DataError(
            f"{source}: expected images that give the fingerprint {expected}, found {found}; "
            "take Fashion-MNIST of 2017 from its authors or from Debian"
        )
    arrays: dict[str, NDArray[np.generic]] = {"classes": np.array(CLASSES)}
    for split, part in parts.items():
        arrays[f"x_{_NAMES[split]}"] = part.pixels[..., 0]
        arrays[f"y_{_NAMES[split]}"] = part.labels.astype(np.uint8)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 when the arrays differ or cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m compress.data.build_demo", description=__doc__)
    parser.add_argument("--source", type=Path, default=DEBIAN_FOLDER, help="folder of IDX files")
    parser.add_argument("-o", "--out", type=Path, default=FILE, help="the .npz file to write")
    given = parser.parse_args(arguments)
    try:
        found = build(given.source, given.out)
    except CompressError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stderr.write(f"{given.out}: {given.out.stat().st_size:,} bytes, fingerprint {found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
