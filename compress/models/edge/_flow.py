"""Where each layer's channels go, in one run of the network.

What operators do to channels stands in a table, _rules.py. One that is not in it keeps the channels
that it takes as many as they are, and the rest of the network stays free.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from compress.models.edge._groups import Group, Label, Segment, join_labels, keep_all, length
from compress.models.edge._rules import RULES
from compress.models.edge._watching import run_watched

Layer = nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d
IMAGE, CLASSES = "image", "classes"  # reasons that need no sentence
_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass
class Use:
    """What one layer does with channels.

    Attributes:
        path: of the layer.
        layer: the layer.
        taken: its input's label.
        given: its output's; of what follows its input (BatchNorm, depthwise), the input's.
    """

    path: str
    layer: Layer
    taken: Label
    given: Label


@dataclass(frozen=True)
class Flow:
    """A network's channels.

    Attributes:
        uses: of its layers, in the order of their first call.
        operators: names of all operators that ran, in order.
        output: of the sample.
    """

    uses: tuple[Use, ...]
    operators: tuple[str, ...]
    output: torch.Tensor


def follow(module: nn.Module, sample: torch.Tensor) -> Flow:
    """Run `sample` through the network, in eval mode, and see where channels go.

    Args:
        module: on the CPU; left as it is.
        sample: float32 [N, C, H, W], N >= 2.
    """
    marker = Marker(module)
    marker.label(sample, (Segment(Group(sample.shape[1], IMAGE)),))
    output = run_watched(module, sample, marker.see)
    keep_all(marker.labels.get(output) or (), CLASSES)
    return Flow(tuple(marker.uses.values()), tuple(marker.operators), output)


class Marker:
    """Labels each tensor as it is made."""

    def __init__(self, module: nn.Module) -> None:
        self.labels: Any = WeakTensorKeyDictionary()  # tensor -> Label
        self.owners: Any = _owners(module)  # weight, or a view of it -> (path, layer)
        self.uses: dict[str, Use] = {}
        self.operators: list[str] = []

    def see(self, name: str, args: tuple[Any, ...], named: dict[str, Any], given: Any) -> None:
        """Label what an operator gives; what no rule knows keeps what it took."""
        self.operators.append(name)
        rule = RULES.get(name.removesuffix("_"))
        label = rule(self, args, given) if rule else None
        if label is not None and isinstance(given, torch.Tensor):
            self.label(given, label)
        else:
            self.keep((*args, *named.values()), f"the operator {name} needs as many")

    def label(self, tensor: torch.Tensor, label: Label) -> None:
        """From now on this tensor's second dimension is known."""
        if tensor.ndim < 2 or tensor.shape[1] != length(label):
            keep_all(label, "an operator changes their number")
            return
        self.labels[tensor] = label

    def label_of(self, tensor: torch.Tensor) -> Label:
        """A tensor's label; of one that nothing is known of, channels that stay as many."""
        known: Label | None = self.labels.get(tensor)
        if known is None:
            size = tensor.shape[1] if tensor.ndim > 1 else 1
            known = (Segment(Group(size, "they meet others that cannot change")),)
        return known

    def keep(self, values: object, reason: str) -> None:
        """All channels in an operator's arguments stay as many."""
        if isinstance(values, torch.Tensor):
            keep_all(self.labels.get(values) or (), reason)
            owner = self.owners.get(values)
            if owner is not None:  # a weight that is used in another way than its layer's
                self.owners.pop(values)
                use = self.uses.get(owner[0])
                keep_all((*use.taken, *use.given) if use else (), reason)
        elif isinstance(values, list | tuple):
            for value in values:
                self.keep(value, reason)

    def use(self, owner: tuple[str, Layer], taken: Label, given: Label) -> Label:
        """A layer is called; a second call must agree with the first."""
        path, layer = owner
        before = self.uses.get(path)
        if before is None:
            self.uses[path] = Use(path, layer, taken, given)
            return given
        join_labels((before.taken, taken), f"{path} is called twice")
        join_labels((before.given, given), f"{path} is called twice")
        return before.given


def _owners(module: nn.Module) -> Any:
    """Weights by which a layer is known; those that two layers share are left out."""
    found: Any = WeakTensorKeyDictionary()
    shared = []
    for path, layer in module.named_modules():
        if isinstance(layer, _LAYERS):
            batch_norm = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
            tensors = layer._buffers if batch_norm else layer._parameters
            weight = tensors.get("running_mean" if batch_norm else "weight")
            if weight is not None:
                shared += [weight] * (weight in found)
                found[weight] = (path, layer)
    for weight in shared:
        found.pop(weight, None)
    return found
