"""The distillation losses by name, listed without importing them."""

import importlib
from collections.abc import Callable
from pathlib import Path

import torch

from compress.errors import UsageError
from compress.suggest import did_you_mean

# (student_logits [B, C], teacher_logits [B, C], temperature) -> scalar
LogitLoss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


def list_methods() -> tuple[str, ...]:
    """Names of the files in losses/."""
    folder = Path(__file__).parent / "losses"
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def load_method(name: str) -> LogitLoss:
    """The function `loss` of losses/NAME.py.

    Raises:
        UsageError: there is no such file.
    """
    names = list_methods()
    if name not in names:
        raise UsageError(f"--method {name}: no such method; {did_you_mean(name, names)}")
    loss: LogitLoss = importlib.import_module(f"compress.distill.losses.{name}").loss
    return loss
