"""What a finished training writes: its accuracy, its predictions, and what it learnt from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import write_with
from compress.data.dataset import Dataset
from compress.data.open import absolute_data
from compress.intervals import wilson
from compress.progress import Progress
from compress.settings import Run
from compress.training.evaluate import split_logits
from compress.training.job import Job

PREDICTIONS = "predictions.npz"


def data_record(dataset: Dataset, run: Run) -> dict[str, Any]:
    """What a later stage needs to open the same images in the same splits."""
    return {
        "reference": absolute_data(dataset.name),
        "fingerprint": dataset.fingerprint,
        "split_seed": run.split_seed,
        "val_fraction": run.val_fraction,
        "test_fraction": run.test_fraction,
        "max_bad": run.max_bad,
        "resize": run.resize,
    }


def evaluate(
    job: Job, dataset: Dataset, progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracy with its interval on validation and test, and the predictions behind it."""
    metrics: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name in ("validation", "test"):
        split, size = dataset.split(name), job.evaluation_size
        logits = split_logits(job.module, job.preprocessing, split, size, progress, job.processes)
        predictions = logits.argmax(axis=1)
        right = int((predictions == split.labels).sum())
        interval = wilson(right, len(split)).to_dict()
        metrics[name] = {"accuracy": right / len(split), "n": len(split), "interval": interval}
        kept |= {f"{name}_predictions": predictions, f"{name}_labels": split.labels}
    return metrics, kept


def write_predictions(folder: Path, predictions: Mapping[str, Any]) -> None:
    """Keep what was predicted for each image, for paired comparisons."""
    write_with(folder / PREDICTIONS, lambda path: np.savez_compressed(path, **predictions))
