"""Graph rewrites, one file each: `rewrite(model) -> int` changes a graph in place.

A file in this folder is applied to every exported network; one in before_int8/ only to the copy
that is quantised: it trades one float operator for several that have integer kernels. A rewrite
returns the number of places it changed, leaves the outputs as they were to rounding, and finds
nothing to do when it is applied again.
"""

import importlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx

Rewrite = Callable[[onnx.ModelProto], int]

ALWAYS = ""
BEFORE_INT8 = "before_int8"
FOLDERS = (ALWAYS, BEFORE_INT8)

# A chain of activations shortens by one a round; networks have chains of two or three.
_ROUNDS = 20


def list_rewrites(folder: str = ALWAYS) -> tuple[str, ...]:
    """Names of the files in a folder, without importing them."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / folder).glob("[!_]*.py")))


def load_rewrite(name: str, folder: str = ALWAYS) -> Rewrite:
    """The function `rewrite` of rewrites/[FOLDER/]NAME.py."""
    module = ".".join(part for part in (__name__, folder, name) if part)
    rewrite: Rewrite = importlib.import_module(module).rewrite
    return rewrite


def apply_rewrites(model: onnx.ModelProto, folder: str = ALWAYS) -> dict[str, int]:
    """Apply each rewrite in place, until none finds anything more.

    Returns:
        The number of places that each one changed.
    """
    changes: Counter[str] = Counter(dict.fromkeys(list_rewrites(folder), 0))
    for _ in range(_ROUNDS):
        found = {name: load_rewrite(name, folder)(model) for name in list_rewrites(folder)}
        changes.update(found)
        if not any(found.values()):
            break
    return dict(changes)
