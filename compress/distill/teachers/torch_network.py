"""A torch network that only answers: frozen, in eval mode on every call, without gradient."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.distill.teachers.interpret import Interpreter
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing
from compress.training.evaluate import to_input


class TorchNetwork:
    """See `live.Network`.

    Attributes:
        model: the network with its preprocessing.
        device: where it computes.
    """

    def __init__(self, model: LoadedModel, device: str | torch.device) -> None:
        """Freeze `model` and move it to `device`."""
        self.model = model
        self.device = torch.device(device)
        model.module.requires_grad_(requires_grad=False)
        model.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def preprocessing(self) -> Preprocessing:
        """See `live.Network.preprocessing`."""
        return self.model.preprocessing

    @torch.no_grad()
    def outputs(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """See `live.Network.outputs`."""
        # On every call: whoever holds the module may have switched it to training.
        self.model.module.eval()
        found: torch.Tensor = self.model.module(to_input(pixels, self.preprocessing, self.device))
        return found.float()

    def with_preprocessing(self, preprocessing: Preprocessing) -> "TorchNetwork":
        """See `live.Network.with_preprocessing`."""
        return TorchNetwork(replace(self.model, preprocessing=preprocessing), self.device)


def interpreted(
    model: LoadedModel, interpreter: Interpreter, classes: tuple[str, ...]
) -> LoadedModel:
    """A network that gives logits of the data's classes by itself: what export writes.

    Args:
        model: the network, moved to the CPU.
        interpreter: what its outputs mean.
        classes: the data's.
    """
    module = model.module.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if not interpreter.changes_nothing():
        module = nn.Sequential(module, interpreter.cpu()).eval()
    return replace(model, module=module, classes=classes)


def weights_sha256(module: nn.Module) -> str:
    """One digest over names, types, shapes and values of all tensors of a network."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
