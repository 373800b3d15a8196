"""Named tensors from a file as it is found in the wild; data only, never code."""

import argparse
import pathlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from compress.errors import ModelError

Tensors = dict[str, torch.Tensor]

# Where training scripts put the state dict beside epoch, optimizer and so on; the first wins.
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema",
)


def read_tensors(path: Path) -> tuple[Tensors, list[str]]:
    """The state dict of a .safetensors or torch file, on the CPU.

    Returns:
        Tensors by name as the file has them, and sentences about what else the file holds.

    Raises:
        ModelError: missing, cut short, no checkpoint, or one that would run code when opened.
    """
    if not path.is_file():
        hint = "; give a file in it" if path.is_dir() else ""
        raise ModelError(f"{path}: expected a weights file, found no such file{hint}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state, notes = _unwrap(path, content)
    tensors = {str(k): v for k, v in state.items() if isinstance(v, torch.Tensor)}
    other = [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if other:
        notes.append(f"{path}: left out what is no tensor: {listed(other)}")
    return tensors, notes


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            # torch warns of TorchScript archives, then raises; the error says enough.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # RuntimeError, UnpicklingError, EOFError, KeyError, OSError, …
        # torch names the first class or function that the file would have called.
        refused = re.search(r"GLOBAL (\S+) was not", str(error))
        if not refused and "TorchScript" not in str(error):
            raise _unreadable(path, error) from error
        found = refused.group(1) if refused else "a TorchScript program"
        raise ModelError(
            f"{path}: expected plain tensors, found pickled objects ({found}), which run code "
            "when opened; open it where you trust it and save the weights alone: "
            "torch.save(model.state_dict(), 'weights.pt')"
        ) from error


def _harmless() -> list[Any]:
    """Types that hold data alone and that training scripts save beside weights.

    torch refuses them by default. Arrays of objects stay refused, as their dtype is not here.
    """
    scalar = np.float64(0).__reduce__()[0]
    reconstruct = np.zeros(0).__reduce__()[0]
    homes = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since numpy 2
    kinds = (np.bool_, np.int32, np.int64, np.float16, np.float32, np.float64)
    return [
        argparse.Namespace,
        *((pathlib.PosixPath, f"{home}.PosixPath") for home in ("pathlib", "pathlib._local")),
        np.ndarray,
        np.dtype,
        *(type(np.dtype(kind)) for kind in kinds),
        *((scalar, f"{home}.scalar") for home in homes),
        *((reconstruct, f"{home}._reconstruct") for home in homes),
    ]


def _unreadable(path: Path, error: Exception) -> ModelError:
    reason = next(iter(str(error).splitlines()), "") or "it is empty"
    return ModelError(
        f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {reason[:120]}); it may "
        "be cut short or something else: copy it again, or save it with "
        "torch.save(model.state_dict(), …) or as .safetensors"
    )


def _unwrap(path: Path, content: Any) -> tuple[Mapping[Any, Any], list[str]]:
    """Walk down to the mapping that holds the tensors; say which of several was taken."""
    notes: list[str] = []
    while isinstance(content, Mapping) and not _is_state(content):
        inner = {str(k): v for k, v in content.items() if isinstance(v, Mapping) and v}
        known = [name for name in _WRAPPERS if name in inner]
        # Without a known name: a mapping of tensors, if there is only one.
        names = known or [name for name, value in inner.items() if _is_state(value)]
        if not names or (not known and len(names) > 1):
            break
        if len(names) > 1:
            notes.append(f"{path}: took {names[0]}; the file also holds {', '.join(names[1:])}")
        content = inner[names[0]]
    if isinstance(content, Mapping) and _is_state(content):
        return content, notes
    found = listed([str(key) for key in content]) if isinstance(content, Mapping) else ""
    raise ModelError(
        f"{path}: expected named tensors, bare or under {', '.join(_WRAPPERS[:4])}, …; "
        f"found {type(content).__name__}{f' with {found}' if found else ''}; "
        "save it with torch.save(model.state_dict(), …)"
    )


def _is_state(content: Any) -> bool:
    """Most values are tensors: state dicts may hold a few numbers too."""
    tensors = sum(isinstance(value, torch.Tensor) for value in content.values())
    return bool(content) and 2 * tensors > len(content)


def listed(names: list[str]) -> str:
    """The first few names and how many there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, … ({len(names)} in all)"
