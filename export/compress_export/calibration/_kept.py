"""Statistics kept in a file, so that another method or a second export does not run the images.

The caller makes the key of all that decides them: the network's digest, the images, their
preprocessing. What does not match in full counts as absent.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import write_with
from compress_export.calibration import Observed
from compress_export.calibration._histogram import Histogram

_FORM = "compress calibration 1"  # counts up when the statistics or the file's layout change
_NUMBERS = ("low", "high", "average_low", "average_high")


def write_observed(path: Path, key: str, observed: Mapping[str, Observed]) -> None:
    """Write the statistics whole or not at all.

    Args:
        path: `.npz`, replaced if it exists.
        key: what they are of.
        observed: as `observe` returned it.

    Raises:
        ArtifactError: the file cannot be written.
    """
    tensors = list(observed.values())
    histograms = [t.histogram for t in tensors if t.histogram is not None]
    arrays: dict[str, Any] = {
        "key": np.array([_FORM, key]),
        "names": np.array(list(observed), dtype=np.str_),
        "images": np.array([t.count for t in tensors], dtype=np.int64),
        "numbers": np.array([[getattr(t, name) for name in _NUMBERS] for t in tensors]),
        "widths": np.array([h.width for h in histograms]),
        "firsts": np.array([h.first for h in histograms], dtype=np.int64),
        "bins": np.array([len(h.counts) for h in histograms], dtype=np.int64),
        "counts": np.concatenate([np.zeros(0, np.int64), *(h.counts for h in histograms)]),
    }
    write_with(path, lambda temporary: np.savez_compressed(temporary, **arrays))


def read_observed(path: Path, key: str) -> dict[str, Observed] | None:
    """The statistics, or None if the file is missing, damaged, foreign, or of another key."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if file["key"].tolist() != [_FORM, key]:
                return None
            return _observed({name: file[name] for name in file.files})
    # Damage shows anywhere in zipfile, zlib and numpy's header parser, as errors of a dozen types;
    # a file that only saves time must not stop an export.
    except Exception:
        return None


def _observed(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Observed]:
    counts = np.split(arrays["counts"], np.cumsum(arrays["bins"]))[:-1]
    histograms: list[Histogram | None] = [
        Histogram(c, float(width), int(first))
        for c, width, first in zip(counts, arrays["widths"], arrays["firsts"], strict=True)
    ]
    names, numbers, images = arrays["names"], arrays["numbers"], arrays["images"]
    return {
        str(name): Observed(
            **dict(zip(_NUMBERS, map(float, row), strict=True)), histogram=histogram, count=int(n)
        )
        for name, row, n, histogram in zip(
            names, numbers, images, histograms or [None] * len(names), strict=True
        )
    }
