"""One run of a network, watched operator by operator: what it does, whatever its forward is like.

A run sees through branches, loops, calls of functions and layers within layers, and needs no trace.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from compress.models.head import in_eval

# Name of the operator, its arguments by place, those by name, and what it gives, if several the
# first. In place, an operator's name ends in an underscore.
See = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]


def run_watched(module: nn.Module, sample: torch.Tensor, see: See) -> torch.Tensor:
    """Run `sample` through a network, in eval mode.

    Args:
        module: on the CPU; left as it is.
        sample: float32 [N, C, H, W], N >= 2.
        see: called after each operator.

    Returns:
        The network's output.
    """
    with in_eval(module), torch.no_grad(), _Watch(see):
        output: torch.Tensor = module(sample)
    return output


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """torch calls this in place of each operator."""

    def __init__(self, see: See) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.see = see

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run the operator, and say so."""
        result = func(*args, **(kwargs or {}))
        first = result[0] if isinstance(result, tuple | list) and result else result
        self.see(func.overloadpacket.__name__, args, dict(kwargs or {}), first)
        return result
