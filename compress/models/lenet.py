"""LeNet-5 with today's parts: ReLU and max-pooling.

Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition".
"""

from torch import nn

from compress.errors import ModelError
from compress.models.blocks import initialize

_SMALLEST = 12  # pixels: below, nothing is left for the second convolution


def lenet5(*, num_classes: int, channels: int, input_size: tuple[int, int]) -> nn.Module:
    """6 and 16 maps, then 120 and 84 units.

    28 and 32 pixels both end in the classic 5x5 map; larger images are pooled more after the
    first convolution, so that the linear layers keep about their classic size.

    Raises:
        ModelError: the image is too small.
    """
    if min(input_size) < _SMALLEST:
        raise ModelError(
            f"lenet5: expected images of at least {_SMALLEST} pixels a side, "
            f"found {input_size[0]} x {input_size[1]}; choose a larger --input-size"
        )
    # The classic input is 32 pixels wide; what is narrower gets its border back.
    padding = tuple(2 if side < 32 else 0 for side in input_size)
    pools = tuple(2 * max(1, round(side / 30)) for side in input_size)
    height, width = (
        ((side + 2 * pad - 4) // pool - 4) // 2
        for side, pad, pool in zip(input_size, padding, pools, strict=True)
    )
    network = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=(padding[0], padding[1])),
        nn.ReLU(),
        nn.MaxPool2d((pools[0], pools[1])),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )
    return initialize(network)
