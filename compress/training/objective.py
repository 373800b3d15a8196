"""The objective of plain training: cross-entropy with the labels."""

import torch
from torch.nn import functional as F

from compress.training.batches import UNLABELLED, Batch
from compress.training.loop import Objective, Terms


def label_objective(label_smoothing: float) -> Objective:
    """Cross-entropy alone, as `train` and the student without a teacher use it."""

    def objective(batch: Batch, logits: torch.Tensor) -> Terms:
        return {"ce": cross_entropy(logits, batch, label_smoothing)}

    return objective


def cross_entropy(logits: torch.Tensor, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross-entropy over the labelled images of a batch.

    Args:
        logits: float32 [B, C].
        batch: its labels count where they are not UNLABELLED.
        label_smoothing: mass moved from the label to all classes evenly.

    Returns:
        A scalar; zero where no image is labelled.
    """
    labels = torch.from_numpy(batch.labels).to(logits.device)
    if not bool((labels != UNLABELLED).any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits, labels, ignore_index=UNLABELLED, label_smoothing=label_smoothing)
