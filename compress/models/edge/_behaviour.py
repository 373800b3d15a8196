"""Which function a layer computes: told by what it answers, not by its class.

torchvision, timm and users each have classes of their own for the same few functions.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

Function = Callable[[torch.Tensor], torch.Tensor]
_PROBE = torch.linspace(-8.0, 8.0, 64).reshape(1, 4, 4, 4)  # as a feature map
_TOLERANCE = 1e-5  # of float32, for values up to eight


def function_name(layer: nn.Module, functions: Mapping[str, Function]) -> str:
    """The name of the function that a layer computes element by element; empty if none of them.

    Args:
        layer: left as it is; only layers without weights, state and parts are asked.
        functions: by name.
    """
    if any(True for _ in layer.children()) or layer.state_dict():
        return ""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            answer = copy.deepcopy(layer).eval()(_PROBE.clone())
    except Exception:  # a layer that takes something else than one feature map
        return ""
    if not isinstance(answer, torch.Tensor) or answer.shape != _PROBE.shape:
        return ""
    for name, function in functions.items():
        if torch.allclose(answer, function(_PROBE), rtol=0, atol=_TOLERANCE):
            return name
    return ""


def places(module: nn.Module) -> Iterator[tuple[nn.Module, str, str, nn.Module]]:
    """Every place that holds a layer: parent, name in it, path, layer.

    A layer that is used in several places is there several times, unlike in `named_modules`.
    """
    for path, parent in list(module.named_modules()):
        for name, layer in list(parent._modules.items()):
            if layer is not None:
                yield parent, name, f"{path}.{name}" if path else name, layer
