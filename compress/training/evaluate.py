"""Logits and accuracy of a torch network over a split."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.data.dataset import Split
from compress.errors import ModelError
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT, Progress

_PIXELS_A_BATCH = 2**22  # keeps an evaluation batch near 16 MB of float32 input a channel


def to_input(images: NDArray[np.uint8], spec: Preprocessing, device: torch.device) -> torch.Tensor:
    """uint8 [B, H, W, C] to the network's float32 [B, c, h, w] in channels-last memory."""
    inputs = torch.from_numpy(preprocess(images, spec))
    return inputs.to(device, memory_format=torch.channels_last)


@torch.no_grad()
def split_logits(
    module: nn.Module,
    spec: Preprocessing,
    split: Split,
    size: tuple[int, int],
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Run a network in eval mode over a split without augmentation.

    Args:
        module: the network; its mode is restored afterwards.
        spec: its preprocessing.
        split: N images.
        size: height and width at which the images are read.
        progress: shows the images done.

    Returns:
        Logits, float32 [N, classes].

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    device = device_of(module)
    was_training = module.training
    module.eval()
    parts = []
    with progress.task("evaluating", total=len(split)) as advance:
        for indices in evaluation_batches(len(split), spec):
            inputs = to_input(split.images.batch(indices, size), spec, device)
            parts.append(module(inputs).float().cpu().numpy())
            advance(len(indices))
    module.train(was_training)
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise ModelError(
            "network: expected finite logits, found NaN or infinity; "
            "its weights have diverged: train again with a lower --lr, or use other weights"
        )
    return logits


def device_of(module: nn.Module) -> torch.device:
    """Where a network's parameters are; the CPU for one that has none."""
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def evaluation_batches(count: int, spec: Preprocessing) -> Iterator[NDArray[np.int64]]:
    """Consecutive indices in batches that fit the cache and the memory."""
    height, width = spec.size
    batch = max(1, min(500, _PIXELS_A_BATCH // (height * width)))
    for start in range(0, count, batch):
        yield np.arange(start, min(start + batch, count))


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of images whose largest logit is the label's; a fraction."""
    return float((logits.argmax(axis=1) == labels).mean())
