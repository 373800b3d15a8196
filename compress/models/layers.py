"""The layers of any network in the order in which they compute, with shapes: from one dry run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from compress.errors import ModelError
from compress.models.head import in_eval
from compress.models.taps import WHOLE, Recorder, Tap

Shape = tuple[int, ...]
_IMAGES = 2  # of the dry run: one alone cannot be told from a size of 1


@dataclass(frozen=True)
class Layer:
    """A layer that gives one tensor.

    Attributes:
        path: as a tap names it.
        shape: of its output, of one image: [C, H, W] of a convolution.
        taken: the shape of its first input, of one image; None for what is no tensor.
    """

    path: str
    shape: Shape
    taken: Shape | None


def list_layers(module: nn.Module, input_shape: Shape) -> tuple[Layer, ...]:
    """All layers that give a tensor of rows for images, in the order in which they end.

    So a container follows its last child. A layer that is called more than once stands where its
    last call ends.

    Args:
        module: the network; it stays as it is: modes, statistics, gradients, and no random number
            is drawn.
        input_shape: [C, H, W].
    """
    found: dict[str, Layer] = {}

    def watch(path: str, layer: nn.Module) -> Any:
        def note(_: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            shape, taken = _of_one(output), _of_one(inputs[0]) if inputs else None
            found.pop(path, None)
            if shape is not None:
                found[path] = Layer(path, shape, taken)

        return layer.register_forward_hook(note)

    handles = [watch(path or WHOLE, layer) for path, layer in module.named_modules()]
    try:
        _run_dry(module, input_shape)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found.values())


def tap_shapes(
    module: nn.Module, taps: Sequence[Tap], input_shape: Shape, subject: str
) -> tuple[Shape, ...]:
    """The shape of what passes each tap, of one image; `module` stays as it is.

    Args:
        module: the network.
        taps: places in it.
        input_shape: [C, H, W].
        subject: what errors call the network.

    Raises:
        ModelError: nothing passes, or something that is no tensor with a row for each image.
    """
    recorder = Recorder(module, taps, subject)
    recorder.start()
    try:
        _run_dry(module, input_shape)
        tensors = recorder.caught()
    finally:
        recorder.stop()
        recorder.close()
    shapes = []
    for tap, tensor in zip(taps, tensors, strict=True):
        shape = _of_one(tensor)
        if shape is None:
            raise ModelError(
                f"{subject} layer {tap}: expected a row for each of {_IMAGES} images, found "
                f"{list(tensor.shape)}; name another layer"
            )
        shapes.append(shape)
    return tuple(shapes)


def _of_one(value: object) -> Shape | None:
    """The shape without the batch, of what has one."""
    if isinstance(value, torch.Tensor) and value.ndim > 1 and len(value) == _IMAGES:
        return tuple(value.shape[1:])
    return None


def _run_dry(module: nn.Module, input_shape: Shape) -> None:
    """Black images through the network."""
    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    images = torch.zeros(_IMAGES, *input_shape, device=device)
    drawn_on = [device] if device.type == "cuda" else []
    generators = torch.random.fork_rng(drawn_on)
    with _unchanged_buffers(module), in_eval(module), generators, torch.no_grad():
        module(images)


@contextmanager
def _unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """Put back what a network counts even in eval mode."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
