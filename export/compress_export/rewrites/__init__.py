"""Graph rewrites, one file each: `rewrite(model) -> int` changes a graph in place.

A file here is applied to every exported network, in the order of the file names. It returns the
number of places it changed, leaves the outputs as they were to rounding, and finds nothing to do
when it is applied again.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import onnx

Rewrite = Callable[[onnx.ModelProto], int]


def list_rewrites() -> tuple[str, ...]:
    """Names of the files in this folder, without importing them."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def load_rewrite(name: str) -> Rewrite:
    """The function `rewrite` of rewrites/NAME.py."""
    rewrite: Rewrite = importlib.import_module(f"{__name__}.{name}").rewrite
    return rewrite


def apply_rewrites(model: onnx.ModelProto) -> dict[str, int]:
    """Apply each rewrite in place; returns the number of places each one changed."""
    return {name: load_rewrite(name)(model) for name in list_rewrites()}
