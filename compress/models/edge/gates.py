"""Squeeze-and-excitation gates get a hard sigmoid, which export folds into the layer before.

A gate is a sigmoid of one number a channel that multiplies feature maps. Of int8 files, sigmoid is
an operator of its own. A hard sigmoid is a line, clipped to 0 and 1: the line goes into the weights
and bias of the convolution before it, and the clipping into the range of its output.

Source: Howard et al. 2019, arXiv:1905.02244, section 5.3, for gates of that form.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from compress.data.wording import counted
from compress.models.change import Applied
from compress.models.edge._behaviour import function_name, places
from compress.models.edge._watching import run_watched

TITLE = "gates' sigmoid becomes a hard sigmoid"

_FUNCTIONS = {"sigmoid": torch.sigmoid}
# Operators that the line can go into, and those that change a tensor's shape alone.
_AFFINE = ("convolution", "addmm", "mm", "native_batch_norm")
_MOVES = ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "alias", "clone", "expand")


def apply(module: nn.Module, sample: torch.Tensor, *, trained: bool) -> Applied:
    """Replace the sigmoid of every gate.

    Args:
        module: changed in place.
        sample: float32 [N, C, H, W].
        trained: the weights were learned with the gates that go.
    """
    sigmoids = {path for _, _, path, layer in places(module) if function_name(layer, _FUNCTIONS)}
    gates, functions = _find_gates(module, sigmoids, sample)
    layers = {path: (parent, name) for parent, name, path, _ in places(module)}
    for path in gates:
        parent, name = layers[path]
        setattr(parent, name, nn.Hardsigmoid())
    notes = []
    if gates:
        learned = "; the weights were learned without and must learn again" if trained else ""
        notes.append(f"{counted(len(gates), 'gate')} with a hard sigmoid, not a sigmoid{learned}")
    if functions:
        notes.append(
            f"{counted(functions, 'gate')} as before, since its forward calls sigmoid as a "
            "function; make it a layer"
        )
    return Applied(module, bool(gates), tuple(notes))


@dataclass(eq=False)
class _Gate:
    """A sigmoid on its way.

    Attributes:
        path: of the layer that computes it; empty where forward calls a function.
        affine: whether it is taken of what a convolution, linear layer or BatchNorm gives.
        products: feature maps that it multiplies.
        others: whatever else it goes into.
    """

    path: str = ""
    affine: bool = False
    products: int = 0
    others: int = 0

    def folds(self) -> bool:
        """Whether it does nothing but multiply maps, behind a layer that can take the line in."""
        return self.affine and self.products > 0 and not self.others


class _Follower:
    """Follows sigmoids from the layer before them to the products that they go into."""

    def __init__(self) -> None:
        self.found: list[_Gate] = []
        self._gates: Any = WeakTensorKeyDictionary()
        self._affine: Any = WeakTensorKeyDictionary()

    def begin(self, taken: torch.Tensor, given: torch.Tensor, path: str = "") -> None:
        """A sigmoid: of the operator, then of the layer that called it."""
        gate = self._gates.get(given)
        if gate is None:
            gate = _Gate(affine=taken in self._affine)
            self.found.append(gate)
            self._gates[given] = gate
        gate.path = path

    def see(self, name: str, args: tuple[Any, ...], _: dict[str, Any], given: Any) -> None:
        """What an operator means for gates."""
        taken = [value for value in args if isinstance(value, torch.Tensor)]
        affine = bool(taken) and taken[0] in self._affine
        gate = self._gates.get(taken[0]) if taken else None
        if name in _AFFINE or (name in _MOVES and affine):
            self._affine[given] = True
        elif name in ("sigmoid", "sigmoid_"):
            self.found.append(_Gate(affine=affine))
            self._gates[given] = self.found[-1]
        elif name in _MOVES and gate is not None:
            self._gates[given] = gate
        else:
            self._count(name, taken)

    def _count(self, name: str, taken: list[torch.Tensor]) -> None:
        """What takes gates: a product with feature maps, or anything else."""
        for tensor in taken:
            gate = self._gates.get(tensor)
            if gate is None:
                continue
            maps = [other for other in taken if other is not tensor and _multiplies(tensor, other)]
            if name in ("mul", "mul_") and maps:
                gate.products += 1
            else:
                gate.others += 1


def _multiplies(gate: torch.Tensor, maps: torch.Tensor) -> bool:
    """Whether this is one factor for each channel of a feature map."""
    return maps.ndim == 4 and gate.shape == (*maps.shape[:2], 1, 1)


def _find_gates(
    module: nn.Module, sigmoids: set[str], sample: torch.Tensor
) -> tuple[list[str], int]:
    """Paths of the layers that are gates, and how many gates are no layers."""
    follower = _Follower()

    def note(path: str) -> Any:
        return lambda _, inputs, output: follower.begin(inputs[0], output, path)

    handles = [module.get_submodule(p).register_forward_hook(note(p)) for p in sorted(sigmoids)]
    try:
        run_watched(module, sample, follower.see)
    finally:
        for handle in handles:
            handle.remove()
    spoiled = {gate.path for gate in follower.found if not gate.folds()}
    folding = [gate.path for gate in follower.found if gate.folds()]
    layers = [path for path in dict.fromkeys(folding) if path and path not in spoiled]
    return layers, folding.count("")
