"""Residual networks for small images: three stages of 16, 32 and 64 channels.

Every network takes `width`, which multiplies the channels, and `first_stride`: with 2 the first
stage already halves the resolution, so that twice the width costs what the plain network does.

Source: He et al. 2015, arXiv:1512.03385, section 4.2; resnet8 as in MLPerf Tiny
(arXiv:2106.07597). Where the shape changes, the shortcut is a 1x1 convolution with BatchNorm.
"""

from collections import OrderedDict

import torch
from torch import nn

from compress.errors import ModelError
from compress.models.blocks import ConvBN, classifier, extra_halvings, initialize, rounded_channels


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: tuple[int, int], stride: int) -> None:
        """`channels` are those in and out; `stride` is the first convolution's."""
        super().__init__()
        self.conv1 = ConvBN(channels, stride=stride)
        self.conv2 = ConvBN((channels[1], channels[1]), relu=False)
        changes = stride != 1 or channels[0] != channels[1]
        shortcut = ConvBN(channels, 1, stride=stride, relu=False) if changes else nn.Identity()
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """[N, in, h, w] -> [N, out, h / stride, w / stride]."""
        summed = self.conv2(self.conv1(maps)) + self.shortcut(maps)
        activated: torch.Tensor = self.relu(summed)
        return activated


def _stem(channels: tuple[int, int], input_size: tuple[int, int]) -> nn.Module:
    """Full resolution up to 40 pixels; a stride above, and a pool above 80."""
    halvings = extra_halvings(input_size)
    conv = ConvBN(channels, stride=2 if halvings else 1)
    if halvings >= 2:
        conv.append(nn.MaxPool2d(3, stride=2, padding=1))
    return conv


def _resnet(
    blocks: int,
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    options: tuple[float, int],
) -> nn.Module:
    """Three stages of `blocks` blocks: 6 * blocks + 2 layers; options: width, first_stride."""
    width, first_stride = options
    if first_stride not in (1, 2):
        raise ModelError(f"first_stride: expected 1 or 2, found {first_stride!r}")
    widths = [rounded_channels(base, width) for base in (16, 32, 64)]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = _stem((channels, widths[0]), input_size)
    before = widths[0]
    for number, after in enumerate(widths, start=1):
        first = Block((before, after), stride=first_stride if number == 1 else 2)
        rest = [Block((after, after), stride=1) for _ in range(blocks - 1)]
        parts[f"stage{number}"] = nn.Sequential(first, *rest)
        before = after
    parts["head"] = classifier(before, num_classes)
    return initialize(nn.Sequential(parts))


def resnet8(
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    width: float = 1.0,
    first_stride: int = 1,
) -> nn.Module:
    """One block a stage."""
    return _resnet(
        1,
        num_classes=num_classes,
        channels=channels,
        input_size=input_size,
        options=(width, first_stride),
    )


def resnet14(
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    width: float = 1.0,
    first_stride: int = 1,
) -> nn.Module:
    """Two blocks a stage."""
    return _resnet(
        2,
        num_classes=num_classes,
        channels=channels,
        input_size=input_size,
        options=(width, first_stride),
    )


def resnet20(
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    width: float = 1.0,
    first_stride: int = 1,
) -> nn.Module:
    """Three blocks a stage."""
    return _resnet(
        3,
        num_classes=num_classes,
        channels=channels,
        input_size=input_size,
        options=(width, first_stride),
    )


def resnet32(
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    width: float = 1.0,
    first_stride: int = 1,
) -> nn.Module:
    """Five blocks a stage."""
    return _resnet(
        5,
        num_classes=num_classes,
        channels=channels,
        input_size=input_size,
        options=(width, first_stride),
    )


def resnet56(
    *,
    num_classes: int,
    channels: int,
    input_size: tuple[int, int],
    width: float = 1.0,
    first_stride: int = 1,
) -> nn.Module:
    """Nine blocks a stage."""
    return _resnet(
        9,
        num_classes=num_classes,
        channels=channels,
        input_size=input_size,
        options=(width, first_stride),
    )
