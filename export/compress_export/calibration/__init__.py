"""From calibration images to the range of each activation, one file a method.

A method is a function `collect(model, tensors, batches, threads) -> Ranges` that keeps running
statistics: memory does not grow with the number of images.
"""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.errors import UsageError

# Tensor name -> lowest and highest real value that its quantised form must hold.
Ranges = dict[str, tuple[float, float]]
Method = Callable[
    [onnx.ModelProto, tuple[str, ...], Iterable[NDArray[np.float32]], int | None], Ranges
]


def list_methods() -> tuple[str, ...]:
    """Names of the files in this folder, without importing them."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def load_method(name: str) -> Method:
    """The function `collect` of calibration/NAME.py.

    Raises:
        UsageError: there is no such file.
    """
    if name not in list_methods():
        raise UsageError(f"calibration {name}: expected one of {', '.join(list_methods())}")
    collect: Method = importlib.import_module(f"{__name__}.{name}").collect
    return collect
