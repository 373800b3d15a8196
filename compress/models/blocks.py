"""What the families share: widths, strides, and the first values of weights."""

from torch import nn

from compress.errors import ModelError

# Widths are multiples of 16 because onnxruntime's fastest int8 convolution (ConvSym) takes only
# such: at least 16 output channels, a multiple of 8 of them on AVX2, and for depthwise kernels
# a multiple of 16 channels. Other widths fall back to slower kernels.
_WIDTH_STEP = 16
_SMALL = 40  # pixels: up to here an image is "small" and keeps its resolution in the stem


def rounded_channels(channels: int, width: float) -> int:
    """`channels` times the width multiplier, as the nearest multiple of 16 (at least 16).

    Raises:
        ModelError: the multiplier is not a positive number.
    """
    if not isinstance(width, int | float) or not width > 0:
        raise ModelError(f"width: expected a positive number, found {width!r}")
    return max(1, round(channels * width / _WIDTH_STEP)) * _WIDTH_STEP


def extra_halvings(input_size: tuple[int, int]) -> int:
    """How often an image must be halved until its shorter side is at most 40 pixels."""
    side, halvings = float(min(input_size)), 0
    while side > _SMALL:
        side, halvings = side / 2, halvings + 1
    return halvings


class ConvBN(nn.Sequential):
    """Convolution and BatchNorm, with ReLU if asked: one operator once exported and quantised."""

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        *,
        stride: int = 1,
        depthwise: bool = False,
        relu: bool = True,
    ) -> None:
        """`channels` are those in and out; padding keeps the size at stride 1."""
        conv = nn.Conv2d(
            *channels,
            kernel,
            stride,
            padding=kernel // 2,
            groups=channels[0] if depthwise else 1,
            bias=False,  # BatchNorm's own
        )
        super().__init__(conv, nn.BatchNorm2d(channels[1]), *([nn.ReLU()] if relu else []))


def separable(channels: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with BatchNorm and ReLU."""
    depthwise = ConvBN((channels[0], channels[0]), stride=stride, depthwise=True)
    return nn.Sequential(depthwise, ConvBN(channels, 1))


def classifier(channels: int, num_classes: int) -> nn.Sequential:
    """Global average pool and one linear layer: any input size gives [N, num_classes]."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def initialize(network: nn.Sequential) -> nn.Sequential:
    """Draw the first weights, from torch's global generator.

    Fan-in, not fan-out: the latter ignores groups and would shrink depthwise kernels.

    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
