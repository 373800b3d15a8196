"""The depthwise-separable CNN of keyword spotting and MLPerf Tiny, for images.

Source: Zhang et al. 2017, arXiv:1711.07128; MLPerf Tiny, arXiv:2106.07597. No dropout: a student
of a few ten thousand weights hardly overfits.
"""

from collections import OrderedDict

from torch import nn

from compress.models.blocks import (
    ConvBN,
    classifier,
    extra_halvings,
    initialize,
    rounded_channels,
    separable,
)

_CHANNELS = 64
_BLOCKS = 4


def ds_cnn(
    *, num_classes: int, channels: int, input_size: tuple[int, int], width: float = 1.0
) -> nn.Module:
    """A 5x5 stem of stride 2 and four separable blocks; `width` multiplies the 64 channels.

    Above 40 pixels as many of the first blocks have stride 2 as bring the image down to the
    maps of a small one.
    """
    maps = rounded_channels(_CHANNELS, width)
    halvings = extra_halvings(input_size)
    stem = ConvBN((channels, maps), 5, stride=2)
    blocks = [separable((maps, maps), 2 if i < halvings else 1) for i in range(_BLOCKS)]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["features"] = nn.Sequential(stem, *blocks)
    parts["head"] = classifier(maps, num_classes)
    return initialize(nn.Sequential(parts))
