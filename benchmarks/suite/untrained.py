"""Networks with random weights that nevertheless behave like networks: for speed and for graphs.

Fresh from torchvision, BatchNorm's statistics are those of no image, and activations shrink from
layer to layer until nothing is left to quantise (of MobileNetV2's last ones 1e-9), which hides
faults and makes some; heads and layer scales start at zero. Here statistics are estimated on
images, and what starts at zero is drawn, so that activations are of the order of one.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.preprocess import Preprocessing, preprocess, resize

BATCH = 16
# Standard deviations by which a unit's values lie above zero. With 0, as fresh, every ReLU is shut
# half the time, and a perturbation grows by some 1.7 dB a layer relative to what it perturbs:
# noise of whatever origin ends as large as the answer, which no trained network does.
# Source: Yang et al., A Mean Field Theory of Batch Normalization, ICLR 2019 (pi / (pi - 1)).
OPENING = 1.0


def structured_images(count: int, side: int, seed: int) -> NDArray[np.uint8]:
    """Random images that have edges, surfaces and grain, as photographs do.

    Returns:
        uint8 [count, side, side, 3]: blotches of three sizes, each image of its own contrast.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((count, side, side, 3), dtype=np.float32)
    for cells, weight in ((2, 1.0), (5, 0.7), (16, 0.4)):
        coarse = rng.integers(0, 256, (count, cells, cells, 3), dtype=np.uint8)
        total += weight * (resize(coarse, (side, side)).astype(np.float32) - 127.5)
    contrast = rng.uniform(0.3, 1.5, (count, 1, 1, 1))
    # Without fine detail a filter for it would have no variance, and noise would drown the rest.
    grain = rng.uniform(5, 60, (count, 1, 1, 1)) * rng.standard_normal(total.shape)
    return np.clip(127.5 + contrast * total + grain, 0, 255).astype(np.uint8)


def waken(module: nn.Module, images: NDArray[np.uint8], spec: Preprocessing) -> nn.Module:
    """Estimate BatchNorm's statistics on images, and draw what starts at zero.

    Args:
        module: changed in place, and put in eval mode.
        images: uint8 [N, h, w, C].
        spec: how the network wants them.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    _draw_zeros(module)
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        nn.init.constant_(norm.bias, OPENING)
        norm.momentum = None  # the plain average over all batches
        norm.train()  # alone: dropout and stochastic depth stay out
    if norms:
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                module(torch.from_numpy(preprocess(images[start : start + BATCH], spec)))
    return module.eval()


def _draw_zeros(module: nn.Module) -> None:
    """Heads of transformers start at 0, layer scales near it: every image would look alike."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.named_parameters():
            if name.endswith("layer_scale"):
                value.fill_(0.5)
            elif name.endswith("class_token"):
                value.normal_(generator=generator)
            elif value.dim() == 2 and not value.any():
                value.normal_(0, value.shape[1] ** -0.5, generator=generator)
            elif name.endswith("norm.weight") and not value.any():
                value.fill_(1.0)
