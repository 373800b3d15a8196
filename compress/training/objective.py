"""The objective of plain training: cross-entropy with the labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from compress.training.batches import UNLABELLED, Batch
from compress.training.job import Objective, Outputs, Terms


def label_objective(label_smoothing: float) -> Objective:
    """Cross-entropy alone, as `train` and the student without a teacher use it."""

    def objective(batch: Batch, outputs: Outputs) -> Terms:
        return {"ce": cross_entropy(outputs.logits, batch, label_smoothing)}

    return objective


def cross_entropy(logits: torch.Tensor, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """This part's share of the mean cross-entropy over the labelled images of a step.

    A mixture of two images counts with both labels, each by its share (Zhang et al. 2018, arXiv
    1710.09412); a label that is not known counts nothing.

    Args:
        logits: float32 [B, C].
        batch: its labels count where they are not UNLABELLED.
        label_smoothing: mass moved from the label to all classes evenly.

    Returns:
        A scalar in nats: the sum over the part, divided by the labelled images of the whole step;
        zero where no image is labelled.
    """
    if not batch.labels_in_step:
        return logits.sum() * 0.0
    pairs = zip((batch.labels, batch.partner_labels), batch.label_weights(), strict=True)
    total = logits.new_zeros(())
    for labels, weights in pairs:
        if labels is not None:
            total = total + _weighted_sum(logits, labels, weights, label_smoothing)
    return total / batch.labels_in_step


def _weighted_sum(
    logits: torch.Tensor,
    labels: NDArray[np.int64],
    weights: NDArray[np.float32],
    label_smoothing: float,
) -> torch.Tensor:
    """The sum over images of weight times cross-entropy; unlabelled images give 0."""
    each = F.cross_entropy(
        logits,
        torch.from_numpy(labels).to(logits.device),
        ignore_index=UNLABELLED,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    return (each * torch.from_numpy(weights).to(logits.device)).sum()
