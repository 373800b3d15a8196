"""The last layer of any network: found by running it, replaced, or trained alone.

Foreign networks call their head `fc`, `classifier.6`, `heads.head` or anything else, so it is not
found by name: it is the linear layer or convolution that computes last, as wide as the output.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from compress.errors import ModelError


@dataclass(frozen=True)
class Head:
    """Where a network's output comes from.

    Attributes:
        path: the layer's name in the module; empty where no layer of that width was found.
        width: of the output, in classes.
    """

    path: str
    width: int


def find_head(module: nn.Module, sample: torch.Tensor) -> Head:
    """Run `sample` through the network, in eval mode, and watch which layer computes last.

    Args:
        module: left as it was: modes, statistics, gradients.
        sample: float32 [N, C, H, W], N >= 2, so that batch and classes are not mixed up.

    Raises:
        ModelError: the network does not take the sample, or gives no tensor [N, classes].
    """
    computed: list[tuple[str, int]] = []

    def watch(path: str, layer: nn.Linear | nn.Conv2d) -> Any:
        width = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        return layer.register_forward_hook(lambda *_: computed.append((path, width)))

    layers = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    handles = [watch(path, layer) for path, layer in layers]
    try:
        output = _run(module, sample)
    finally:
        for handle in handles:
            handle.remove()
    width = _output_width(output, sample)
    paths = [path for path, layer_width in computed if layer_width == width]
    return Head(paths[-1] if paths else "", width)


def head_width(module: nn.Module, sample: torch.Tensor) -> int:
    """Number of classes that the network tells apart; see `find_head`."""
    return find_head(module, sample).width


def _run(module: nn.Module, sample: torch.Tensor) -> Any:
    """The output for `sample`, or an error that names its size."""
    try:
        with in_eval(module), torch.no_grad():
            return module(sample)
    except Exception as error:  # whatever a foreign forward raises
        batch, channels, height, width = sample.shape
        raise ModelError(
            f"expected to take {channels} x {height} x {width} images, but its forward raised "
            f"{type(error).__name__} on a batch of {batch}: {_first_line(error)}; "
            "choose another --input-size (--teacher-size for a teacher) or look at --model-args"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


@contextmanager
def in_eval(module: nn.Module) -> Iterator[None]:
    """Eval mode for a moment: each module gets its own mode back."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _output_width(output: Any, sample: torch.Tensor) -> int:
    if not isinstance(output, torch.Tensor):
        raise ModelError(
            f"expected logits as one tensor, found {type(output).__name__}; "
            "wrap the network so that its forward returns the logits alone"
        )
    if output.ndim != 2 or output.shape[0] != sample.shape[0]:
        raise ModelError(
            f"expected logits of shape [{sample.shape[0]}, classes], "
            f"found {list(output.shape)}; only networks that classify whole images can be used"
        )
    return int(output.shape[1])


def replace_head(module: nn.Module, num_classes: int, sample: torch.Tensor) -> str:
    """Put a new, untrained layer of `num_classes` outputs in the head's place.

    Args:
        module: changed in place.
        num_classes: width wanted.
        sample: as for `find_head`.

    Returns:
        The layer's path.

    Raises:
        ModelError: the output does not come straight from a linear layer or a convolution.
    """
    path = find_head(module, sample).path
    if not path:
        raise ModelError(
            "expected a linear layer or convolution as wide as the output, to be replaced; found "
            "none: give the number of classes to the network's own factory with --model-args"
        )
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, _renewed(module.get_submodule(path), num_classes))
    found = head_width(module, sample)
    if found != num_classes:
        raise ModelError(
            f"expected {num_classes} outputs after replacing {path}, found {found}: "
            "give the number of classes to the network's own factory with --model-args"
        )
    return path


def _renewed(layer: nn.Module, num_classes: int) -> nn.Module:
    """A layer like `layer`, with `num_classes` outputs."""
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, num_classes, bias=layer.bias is not None)
    assert isinstance(layer, nn.Conv2d)
    return nn.Conv2d(
        layer.in_channels,
        num_classes,
        (layer.kernel_size[0], layer.kernel_size[1]),
        stride=(layer.stride[0], layer.stride[1]),
        padding=layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )


def freeze_first(module: nn.Module, count: int) -> tuple[str, ...]:
    """Keep the first `count` parts of a network as they are.

    A part is a child that holds weights, in the order of definition, which is that from the
    input in nearly every network. A plain `nn.Sequential` counts by its own children: thus
    `features.0`, `features.1`, … of a MobileNet, and `conv1`, `bn1`, `layer1.0`, … of a ResNet.

    Args:
        module: its frozen parameters get no gradient; see `keep_frozen_in_eval` for the rest.
        count: number of parts.

    Returns:
        Names of the frozen parts.

    Raises:
        ModelError: the network has not that many parts, or none would be left to train.
    """
    parts = _parts(module)
    if not 0 <= count < max(1, len(parts)):
        raise ModelError(
            f"--freeze {count}: expected 0 to {max(0, len(parts) - 1)}, since the network has "
            f"{len(parts)} parts with weights, the last of which must learn: "
            f"{', '.join(name for name, _ in parts)}"
        )
    for _, part in parts[:count]:
        part.requires_grad_(requires_grad=False)
    return tuple(name for name, _ in parts[:count])


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children that hold weights, with plain sequences opened one level."""
    prefix = ""
    while len(children := list(module.named_children())) == 1:  # a mere wrapper
        prefix += f"{children[0][0]}."
        module = children[0][1]
    parts = []
    for name, child in children:
        # Exactly Sequential: a subclass (Conv2dNormActivation, …) is one part of its network.
        opened = type(child) is nn.Sequential
        inner = [(f"{name}.{n}", m) for n, m in child.named_children()] if opened else []
        parts += inner or [(name, child)]
    return [(prefix + name, part) for name, part in parts if any(True for _ in part.parameters())]


def keep_frozen_in_eval(module: nn.Module) -> None:
    """Call after `module.train()`: frozen parts stay in eval mode.

    Else their BatchNorm statistics would go on moving, and their dropout would make noise.
    """
    for part in module.modules():
        weights = list(part.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            part.eval()
