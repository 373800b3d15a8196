"""What each operator does to channels: the label of its output from those of its inputs.

A rule gives None where it cannot tell; then the channels stay as many as they are.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import nn

from compress.models.edge._groups import Group, Label, Segment, join_labels, keep_all

if TYPE_CHECKING:
    from compress.models.edge._flow import Marker

Args: TypeAlias = tuple[Any, ...]  # of an operator, by place
Rule = Callable[["Marker", Args, Any], Label | None]


def _same(marker: "Marker", args: Args, given: Any) -> Label | None:
    """An operator that works on each channel by itself."""
    known: Label | None = marker.labels.get(args[0])
    return known if given.shape[:2] == args[0].shape[:2] else None


def _convolve(marker: "Marker", args: Args, given: Any) -> Label | None:
    images, weight, groups, transposed = args[0], args[1], args[8], args[6]
    owner = marker.owners.get(weight)
    taken = marker.label_of(images)
    if owner is None or transposed:
        return None
    if groups == 1:
        return marker.use(owner, taken, (Segment(Group(given.shape[1], mapped=True)),))
    if groups == images.shape[1] == given.shape[1]:
        for segment in taken:
            segment.group.root().mapped = True
        return marker.use(owner, taken, taken)
    reason = "a grouped convolution takes or makes them"
    keep_all(taken, reason)
    return (Segment(Group(given.shape[1], reason)),)


def _normalise(marker: "Marker", args: Args, given: Any) -> Label | None:
    owner = marker.owners.get(args[3])
    taken = marker.labels.get(args[0])
    if owner is None or taken is None:
        return None
    return marker.use(owner, taken, taken)


def _transpose(marker: "Marker", args: Args, given: Any) -> Label | None:
    """Of a linear layer's weight; anything else is not known."""
    owner = marker.owners.get(args[0])
    if owner is None or not isinstance(owner[1], nn.Linear):
        return None
    marker.owners[given] = owner
    return (Segment(Group(given.shape[1], "a weight")),)


def _multiply(inputs: int) -> Rule:
    """A linear layer; `inputs` is the place of its input among the arguments."""

    def rule(marker: "Marker", args: Args, given: Any) -> Label | None:
        owner = marker.owners.get(args[inputs + 1])
        if owner is None or args[inputs].ndim != 2:
            return None
        taken = marker.label_of(args[inputs])
        return marker.use(owner, taken, (Segment(Group(given.shape[1])),))

    return rule


def _pair(marker: "Marker", args: Args, given: Any) -> Label | None:
    """A sum or product of two tensors, or of one and a number."""
    tensors = [a for a in args[:2] if isinstance(a, torch.Tensor) and a.numel() > 1]
    wide = [t for t in tensors if t.ndim == given.ndim and t.shape[1] == given.shape[1]]
    narrow = [t for t in tensors if not any(t is other for other in wide)]
    if not wide or any(t.ndim != given.ndim for t in narrow):
        return None
    labels = [marker.label_of(t) for t in wide]
    if len(labels) > 1:
        join_labels(labels, "they meet others that are cut otherwise")
    return labels[0]


def _divide(marker: "Marker", args: Args, given: Any) -> Label | None:
    """By a number; by channels, new ones that are zero would make infinities."""
    divisor = args[1]
    if isinstance(divisor, torch.Tensor) and divisor.numel() > 1:
        return None
    return _pair(marker, args, given)


def _cat(marker: "Marker", args: Args, given: Any) -> Label | None:
    dimension = args[1] if len(args) > 1 else 0
    if dimension % given.ndim != 1:
        return None
    return tuple(segment for tensor in args[0] for segment in marker.label_of(tensor))


def _mean(marker: "Marker", args: Args, given: Any) -> Label | None:
    dimensions = args[1] if len(args) > 1 and args[1] is not None else range(args[0].ndim)
    if any(d % args[0].ndim < 2 for d in dimensions):
        return None
    known: Label | None = marker.labels.get(args[0])
    return known


def _view(marker: "Marker", args: Args, given: Any) -> Label | None:
    """The same shape but for sizes of one, or a flatten of channels, height and width."""
    taken, label = args[0], marker.labels.get(args[0])
    if label is None or given.ndim < 2 or given.shape[0] != taken.shape[0]:
        return None
    if given.shape[1] == taken.shape[1] and given.numel() == taken.numel():
        return tuple(label)
    if given.ndim == 2:
        pixels = taken[0, 0].numel()
        return tuple(Segment(s.group, s.repeat * pixels) for s in label)
    return None


_ELEMENTWISE = (
    "relu relu6 hardtanh clamp hardswish hardsigmoid silu sigmoid gelu elu leaky_relu tanh "
    "softplus mish neg abs clone contiguous alias detach dropout _to_copy expand constant_pad_nd "
    "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d "
    "upsample_nearest2d upsample_bilinear2d"
)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _same),
    **dict.fromkeys(("add", "sub", "mul", "maximum", "minimum"), _pair),
    **dict.fromkeys(("view", "_unsafe_view", "squeeze", "unsqueeze"), _view),
    "div": _divide,
    "convolution": _convolve,
    "native_batch_norm": _normalise,
    "_native_batch_norm_legit_no_training": _normalise,
    "t": _transpose,
    "addmm": _multiply(1),
    "mm": _multiply(0),
    "cat": _cat,
    "mean": _mean,
}
