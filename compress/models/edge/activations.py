"""Activations without an integer kernel become ReLU, which costs nothing after quantisation.

Of int8 files, ReLU goes into the convolution before it: the range of its output does the clipping.
Hard-swish, SiLU and GELU each take operators of their own, some of them in float: the body of a
MobileNetV3-Small takes 0.76 ms with ReLU and 1.1 ms with either of the others.
"""

from collections import Counter
from contextlib import suppress
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from compress.models.change import Applied
from compress.models.edge._behaviour import Function, function_name, places
from compress.models.edge._watching import run_watched

TITLE = "hard-swish, SiLU and GELU become ReLU"

_FUNCTIONS: dict[str, Function] = {
    "hard-swish": F.hardswish,
    "SiLU": F.silu,
    "GELU": F.gelu,
    "GELU by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "GELU by sigmoid": lambda x: x * torch.sigmoid(1.702 * x),
}
# Operators of torch by which a forward calls the same without a layer.
_OPERATORS = {"hardswish": "hard-swish", "silu": "SiLU", "gelu": "GELU"}


def apply(module: nn.Module, sample: torch.Tensor, *, trained: bool) -> Applied:
    """Put ReLU in the place of each such layer.

    Args:
        module: changed in place.
        sample: float32 [N, C, H, W].
        trained: the weights were learned with the activations that go.
    """
    replaced: Counter[str] = Counter()
    for parent, name, _, layer in places(module):
        found = function_name(layer, _FUNCTIONS)
        if found:
            setattr(parent, name, nn.ReLU(inplace=bool(getattr(layer, "inplace", False))))
            replaced[found] += 1
    if replaced:
        _spare_outputs(module)
    notes = []
    if replaced:
        listed = " and ".join(f"{count} {name}" for name, count in sorted(replaced.items()))
        learned = "; the weights were learned without and must learn again" if trained else ""
        notes.append(f"{listed} became ReLU{learned}")
    for name, count in sorted(_called(module, sample).items()):
        notes.append(
            f"{count} {name} as before, since its forward calls a function; make it a layer"
        )
    return Applied(module, bool(replaced), tuple(notes))


def _spare_outputs(module: nn.Module) -> None:
    """Let no dropout overwrite its input: ReLU's gradient is read from what it gave."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.inplace = False


def _called(module: nn.Module, sample: torch.Tensor) -> Counter[str]:
    """Such functions as are left once no layer computes them; none where that cannot be seen."""
    counts: Counter[str] = Counter()

    def see(name: str, *_: Any) -> None:
        if name.removesuffix("_") in _OPERATORS:
            counts[_OPERATORS[name.removesuffix("_")]] += 1

    with suppress(Exception):  # whatever a foreign forward raises when it is watched
        run_watched(module, sample, see)
    return counts
