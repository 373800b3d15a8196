"""The stages of any network: of each size that its feature maps take, the last map."""

from collections.abc import Mapping

from torch import nn

from compress.models.layers import Layer, Shape, list_layers
from compress.models.taps import Tap


def list_stages(module: nn.Module, input_shape: Shape) -> tuple[Layer, ...]:
    """The outermost layer that gives the last map of each size, in the order of computation.

    Args:
        module: the network; it stays as it is.
        input_shape: [C, H, W].

    Returns:
        Layers of shape [C, h, w], no two of one size, none of 1 x 1.
    """
    layers = list_layers(module, input_shape)
    by_path = {layer.path: layer for layer in layers}
    last: dict[Shape, Layer] = {}
    for layer in layers:
        size = layer.shape[1:]
        if _is_map(layer.shape, input_shape) and not _on_the_way(layer, by_path, module):
            last.pop(size, None)
            last[size] = layer
    return tuple(last.values())


def _is_map(shape: Shape, input_shape: Shape) -> bool:
    """Whether this is [C, H, W] of more than one pixel, as wide for its height as the input.

    The latter to within a pixel: it tells the [H, W, C] of some transformers apart.
    """
    if len(shape) != 3 or shape[1:] == (1, 1):
        return False
    height, width = input_shape[1:]
    return abs(shape[1] * width - shape[2] * height) <= max(height, width)


def _on_the_way(layer: Layer, by_path: Mapping[str, Layer], module: nn.Module) -> bool:
    """Whether this lies in a block that is entered at this size and left at another.

    Such are the first convolutions of a block with a stride: the stage had ended before it. A plain
    sequence is no block, as its parts stand for themselves.
    """
    names = layer.path.split(".")
    for depth in range(1, len(names)):
        block = by_path.get(".".join(names[:depth]))
        if block is None or block.taken is None:
            continue
        passes = block.taken[1:] == layer.shape[1:] != block.shape[1:]
        # Exactly Sequential: a subclass is one block of its network.
        if passes and type(Tap(block.path).layer(module)) is not nn.Sequential:
            return True
    return False
