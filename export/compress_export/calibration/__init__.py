"""From calibration images to the range of each activation.

One pass over the images (`_observe`) leaves running statistics of each tensor, which may be kept
(`_kept`). A method, one file each, is a function `find_range(observed) -> (low, high)` of these:
to try all methods costs one pass. Memory does not grow with the number of images.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from compress.errors import UsageError
from compress_export.calibration._histogram import Histogram

# Lowest and highest real value that a tensor's quantised form must hold.
Range = tuple[float, float]
Ranges = dict[str, Range]

_LEVELS = 255  # steps of uint8
_SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What one tensor held while the calibration images ran.

    Attributes:
        low: smallest value, exact.
        high: largest value, exact.
        average_low: moving average of each image's smallest value.
        average_high: moving average of each image's largest value.
        histogram: counts of all values; None if none was asked for.
        count: images.
    """

    low: float
    high: float
    average_low: float
    average_high: float
    histogram: Histogram | None
    count: int


Method = Callable[[Observed], Range]


def list_methods() -> tuple[str, ...]:
    """Names of the files in this folder, without importing them."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def load_method(name: str) -> Method:
    """The function `find_range` of calibration/NAME.py.

    Raises:
        UsageError: there is no such file.
    """
    method: Method = _load(name).find_range
    return method


def needs_histogram(name: str) -> bool:
    """Whether the method reads `Observed.histogram`.

    Raises:
        UsageError: there is no such method.
    """
    return bool(_load(name).NEEDS_HISTOGRAM)


def find_ranges(observed: Mapping[str, Observed], method: str) -> Ranges:
    """Each tensor's range by one method.

    Every range contains 0, because zero padding and ReLU need an exact zero, and lies within the
    values that were seen. A tensor that holds hardly more than zeros gets (0, 0).

    Raises:
        UsageError: there is no such method.
    """
    find_range = load_method(method)
    return {name: _usable(find_range(tensor), tensor) for name, tensor in observed.items()}


def _usable(found: Range, observed: Observed) -> Range:
    low = min(max(found[0], observed.low), 0.0)
    high = max(min(found[1], observed.high), 0.0)
    # A step that float32 cannot hold divides by zero; writers take (0, 0) as a scale of 1.
    return (low, high) if (high - low) / _LEVELS >= _SMALLEST_SCALE else (0.0, 0.0)


def _load(name: str) -> ModuleType:
    if name not in list_methods():
        raise UsageError(f"calibration {name}: expected one of {', '.join(list_methods())}")
    return importlib.import_module(f"{__name__}.{name}")
