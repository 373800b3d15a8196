"""MobileNetV1 for small images: depthwise-separable convolutions all the way.

Source: Howard et al. 2017, arXiv:1704.04861, table 1. ReLU, not ReLU6: after quantisation the
range of an activation does the clipping.
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

_STEM = 32
# (channels, stride) of each separable block at width 1.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *(((512, 1),) * 5))
_LAST = ((1024, 2), (1024, 1))


def mobilenet(
    *, num_classes: int, channels: int, input_size: tuple[int, int], width: float = 0.5
) -> nn.Module:
    """Thirteen separable blocks; `width` multiplies the channels (0.25 as in MLPerf Tiny).

    Images of at most 40 pixels keep their resolution in the stem; larger ones are halved there.
    """
    before = rounded_channels(_STEM, width)
    stem = ConvBN((channels, before), stride=2 if extra_halvings(input_size) else 1)
    blocks: list[nn.Module] = [stem]
    for base, stride in _BLOCKS + _LAST:
        after = rounded_channels(base, width)
        blocks.append(separable((before, after), stride))
        before = after
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["features"] = nn.Sequential(*blocks)
    parts["head"] = classifier(before, num_classes)
    return initialize(nn.Sequential(parts))
