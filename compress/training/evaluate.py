"""Logits and accuracy of a torch network over a split."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.data.dataset import Split
from compress.errors import ModelError
from compress.preprocess import Preprocessing, fit_pixels
from compress.progress import SILENT, Progress
from compress.training.processes import ALONE, Processes

SUM_TOLERANCE = 1e-2  # of probabilities; float16 sums over a thousand classes differ by less
_PIXELS_A_BATCH = 2**22  # keeps an evaluation batch near 16 MB of float32 input a channel


def to_input(
    images: NDArray[np.uint8],
    spec: Preprocessing,
    device: torch.device,
    *,
    channels_last: bool = True,
) -> torch.Tensor:
    """uint8 [B, H, W, C] to the network's float32 [B, c, h, w].

    The numbers are those of `compress.preprocess.preprocess`, bit for bit; images come with their
    channels last, so that this layout needs no copy.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(fit_pixels(images, spec))).to(device)
    inputs = pixels.permute(0, 3, 1, 2).float()
    inputs = inputs.sub_(_column(spec.mean, device)).div_(_column(spec.scale, device))
    return inputs if channels_last else inputs.contiguous()


def _column(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


@torch.no_grad()
def split_logits(
    module: nn.Module,
    spec: Preprocessing,
    split: Split,
    size: tuple[int, int],
    progress: Progress = SILENT,
    processes: Processes = ALONE,
) -> NDArray[np.float32]:
    """Run a network in eval mode over a split without augmentation.

    Args:
        module: the network; its mode is restored afterwards.
        spec: its preprocessing.
        split: N images.
        size: height and width at which the images are read.
        progress: shows the images done.
        processes: each computes its share of the images by the first one's network, which is the
            one that is saved; all get all logits.

    Returns:
        Logits, float32 [N, classes].

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    processes.same_buffers(module)
    device = device_of(module)
    was_training = module.training
    module.eval()
    parts = []
    batches = list(evaluation_batches(len(split), spec))
    with progress.task("evaluating", total=len(split)) as advance:
        for indices in batches[processes.rank :: processes.count]:
            inputs = to_input(split.images.batch(indices, size), spec, device)
            parts.append((indices, module(inputs).float().cpu().numpy()))
            advance(len(indices) * processes.count)
    module.train(was_training)
    logits = _gather(parts, len(split), processes)
    if not np.isfinite(logits).all():
        raise ModelError(
            "network: expected finite logits, found NaN or infinity; "
            "its weights have diverged: train again with a lower --lr, or use other weights"
        )
    return logits


def _gather(
    parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]], count: int, processes: Processes
) -> NDArray[np.float32]:
    """The rows that each process has computed, in their places: float32 [count, classes]."""
    if processes.count == 1:
        return np.concatenate([logits for _, logits in parts])
    # A process without images of its own does not know the width.
    known = np.array([parts[0][1].shape[1], 1.0] if parts else [0.0, 0.0])
    widths, processes_that_know = processes.sum(known)
    rows = np.zeros((count, round(widths / processes_that_know)), dtype=np.float64)
    for indices, logits in parts:
        rows[indices] = logits
    return processes.sum(rows).astype(np.float32)


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


def are_probabilities(outputs: torch.Tensor) -> bool:
    """Whether every row of [B, C] could come from a softmax; a loss would take a second one."""
    outputs = outputs.detach()
    sums = outputs.sum(dim=1)
    return bool((outputs >= 0).all() and ((sums - 1).abs() <= SUM_TOLERANCE).all())
