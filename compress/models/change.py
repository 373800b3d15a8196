"""The changes of --for-edge, one after the other, on a network that is built."""

import copy
import importlib
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Changed:
    """A network after the changes that were asked for.

    Attributes:
        module: the network.
        names: of the changes that changed something, in their order.
        notes: what was changed and what stays as it was, in sentences for the user.
    """

    module: nn.Module
    names: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Applied:
    """What one change did.

    Attributes:
        module: the network, the same one or a copy.
        did: whether anything was changed.
        notes: sentences.
    """

    module: nn.Module
    did: bool
    notes: tuple[str, ...]


def change_for_edge(
    module: nn.Module, names: tuple[str, ...], sample: torch.Tensor, *, trained: bool
) -> Changed:
    """Apply changes; random weights come from torch's global generator.

    Args:
        module: on the CPU; it may be changed in place.
        names: files of compress/models/edge/.
        sample: float32 [N, C, H, W] of the input's shape, N >= 2; its values are not used.
        trained: its weights are worth something: they are kept.
    """
    done: list[str] = []
    notes: list[str] = []
    # Pixels at random: of black ones a product is zero whatever its factors are.
    images = torch.rand(sample.shape, generator=torch.Generator().manual_seed(0)) * 4 - 2
    for name in names:
        file = importlib.import_module(f"compress.models.edge.{name}")
        before = copy.deepcopy(module)
        try:
            applied: Applied = file.apply(module, images, trained=trained)
        except Exception as error:  # a forward that cannot be watched
            notes.append(f"{name}: left as it is: {type(error).__name__} when it was looked at")
            module = before
            continue
        if applied.did and _learns(before, images) and not _learns(applied.module, images):
            notes.append(f"{name}: left as it is: its forward overwrites what its gradient needs")
            module = before
            continue
        module = applied.module
        notes += [f"{name}: {sentence}" for sentence in applied.notes]
        if applied.did:
            done.append(name)
    return Changed(module, tuple(done), tuple(notes))


def _learns(module: nn.Module, images: torch.Tensor) -> bool:
    """Whether a step of training gets through; what a network overwrites shows there alone."""
    tried = copy.deepcopy(module).train()
    try:
        with torch.random.fork_rng(devices=[]):
            tried(images).sum().backward()
    except RuntimeError:
        return False
    return True


def title_of(name: str) -> str:
    """What a change does, in a phrase."""
    title: str = importlib.import_module(f"compress.models.edge.{name}").TITLE
    return title
