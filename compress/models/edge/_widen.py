"""Layers with more channels: which of the new ones were there before, and what the others hold."""

import torch
from torch import nn

from compress.models.edge._flow import Use
from compress.models.edge._groups import Group, Label

STEP = 16


def wanted(group: Group) -> int:
    """Channels that a group gets: the next multiple of 16 where it may change, else its own."""
    root = group.root()
    free = root.mapped and not root.reason
    return -(-root.size // STEP) * STEP if free else root.size


def places(label: Label) -> torch.Tensor:
    """For each new entry of a dimension the old one that it was; -1 for one that is new.

    Returns:
        int64 [entries afterwards].
    """
    found: list[int] = []
    start = 0
    for segment in label:
        old = range(start, start + segment.length())
        found += old
        found += [-1] * (wanted(segment.group) * segment.repeat - len(old))
        start += len(old)
    return torch.tensor(found, dtype=torch.int64)


def widen(use: Use, *, trained: bool) -> None:
    """Give a layer the channels that its groups want, in place.

    What it gives anew is drawn from the values that the layer has: the same distribution, whichever
    that is. What it takes anew counts nothing in a trained network, whose function thus stays as
    it is. In one that has learned nothing it is drawn too, and all weights shrink by the root of
    the fan-ins' ratio, which keeps the variance of what the layer gives.

    Args:
        use: the layer.
        trained: its weights are worth something.
    """
    layer, given = use.layer, places(use.given)
    if all(wanted(s.group) == s.group.size for s in (*use.taken, *use.given)):
        return
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        _widen_norm(layer, given)
        return
    weight = layer.weight.detach()
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:  # depthwise: it gives what it takes
        weight = _drawn(weight, given, 0)
        layer.in_channels = layer.out_channels = layer.groups = len(given)
    else:
        taken = places(use.taken)
        weight = _columns(weight, taken, trained=trained)
        weight = _drawn(weight, given, 0)
        _resize(layer, len(taken), len(given))
    layer.weight = _parameter(weight, layer.weight)
    if layer.bias is not None:
        layer.bias = _parameter(_drawn(layer.bias.detach(), given, 0), layer.bias)


def _columns(weight: torch.Tensor, taken: torch.Tensor, *, trained: bool) -> torch.Tensor:
    if trained:
        return _filled(weight, taken, 1, 0.0)
    shrunk: torch.Tensor = _drawn(weight, taken, 1) * (weight.shape[1] / len(taken)) ** 0.5
    return shrunk


def _widen_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, given: torch.Tensor) -> None:
    """New channels get what BatchNorm begins with."""
    layer.num_features = len(given)
    fills = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    for name, fill in fills.items():
        tensor = getattr(layer, name)
        if tensor is None:
            continue
        filled = _filled(tensor.detach(), given, 0, fill)
        is_weight = isinstance(tensor, nn.Parameter)
        setattr(layer, name, _parameter(filled, tensor) if is_weight else filled)


def _resize(layer: nn.Conv2d | nn.Linear, taken: int, given: int) -> None:
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = taken, given
    else:
        layer.in_channels, layer.out_channels = taken, given


def _filled(
    tensor: torch.Tensor, found: torch.Tensor, dimension: int, value: float
) -> torch.Tensor:
    """`tensor` with new entries of one value."""
    taken = tensor.index_select(dimension, found.clamp(min=0))
    return taken.index_fill(dimension, (found < 0).nonzero().flatten(), value)


def _drawn(tensor: torch.Tensor, found: torch.Tensor, dimension: int) -> torch.Tensor:
    """`tensor` with new entries drawn from its values."""
    taken = tensor.index_select(dimension, found.clamp(min=0))
    new = (found < 0).nonzero().flatten()
    if not len(new):
        return taken
    shape = list(taken.shape)
    shape[dimension] = len(new)
    values = tensor.flatten()
    chosen = values[torch.randint(len(values), shape)]
    return taken.index_copy(dimension, new, chosen)


def _parameter(values: torch.Tensor, like: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(values.contiguous(), requires_grad=like.requires_grad)
