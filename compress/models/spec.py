"""What is asked of a network, and what the asking brings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from compress.preprocess import Preprocessing


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A network to build.

    Attributes:
        reference: `resnet8`, `torchvision:NAME`, `timm:NAME` or `file.py:factory`.
        num_classes: width of the output.
        channels: of the images: 1 (grey) or 3 (RGB); a network that knows only RGB takes 3.
        input_size: height and width in pixels.
        args: further arguments of the network's factory.
        weights: file to start from; none: random weights.
        pretrained: start from torchvision's or timm's own weights.
        replace_head: give the network a new last layer where its width is not num_classes.
        input_size_given: the user asked for input_size; if not, the size at which torchvision's
            or timm's weights were trained goes before it.
        own_classes: a teacher's width may differ from num_classes: weights that torchvision or
            timm publish keep their classes, and a factory that asks for no number has its own.
    """

    reference: str
    num_classes: int
    channels: int
    input_size: tuple[int, int]
    args: Mapping[str, Any]
    weights: Path | None = None
    pretrained: bool = False
    replace_head: bool = False
    input_size_given: bool = False
    own_classes: bool = False
    edge: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A network before its output is checked and its weights are read.

    Attributes:
        module: with random weights, or with timm's own.
        preprocessing: what its weights expect.
        weights: file that is still to be loaded into it.
        notes: sentences for the user.
        classes: names of its outputs where whoever published its weights names them.
    """

    module: nn.Module
    preprocessing: Preprocessing
    weights: Path | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltModel:
    """A network that fits its data.

    Attributes:
        module: float32 [N, channels, height, width] -> logits [N, num_classes], or as many as the
            network has where it keeps its own classes.
        preprocessing: what its images must go through; its size and channels are the network's,
            which may differ from those asked for.
        notes: what was assumed, dropped or renewed, in sentences for the user.
        classes: names of its own classes, where it keeps them and they are published.
        edge: those of the changes asked for that changed something.
    """

    module: nn.Module
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    edge: tuple[str, ...] = ()
