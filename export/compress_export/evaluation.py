"""Which images are looked at, and what the ONNX files say about them."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.artifacts import write_with
from compress.data.dataset import Dataset, Split
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT, Progress
from compress_export.session import run_logits

EVALUATION = "evaluation.npz"
GOLDEN = "golden.npz"

EVALUATION_BYTES = 64_000_000  # of pixels; more makes a bundle slow to send and a board swap
GOLDEN_IMAGES = 4

_PIXELS_A_BATCH = 2**20  # a handful at 224 px: activations of a batch stay below some 100 MB
_LARGEST_BATCH = 64


@dataclass(frozen=True)
class View:
    """Images of a split as one network gets them.

    Attributes:
        split: the images.
        size: height and width at which they are read.
        preprocessing: the network's.
    """

    split: Split
    size: tuple[int, int]
    preprocessing: Preprocessing

    def inputs(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Images `indices` as network input, float32 [B, c, h, w]."""
        pixels = self.split.images.batch(indices, self.size)
        return np.asarray(preprocess(pixels, self.preprocessing), dtype=np.float32)

    def batches(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Cut indices, int64 [N], into batches whose activations fit the memory."""
        height, width = self.preprocessing.size
        size = max(1, min(_LARGEST_BATCH, _PIXELS_A_BATCH // (height * width)))
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def reading_size(dataset: Dataset, specs: Iterable[Preprocessing]) -> tuple[int, int]:
    """Height and width of the images before preprocessing.

    Their own where all are alike; else large enough for each network, whose centre crop takes a
    share of it.
    """
    if dataset.image_size is not None:
        return dataset.image_size
    wanted = [_before_crop(spec) for spec in specs]
    return max(h for h, _ in wanted), max(w for _, w in wanted)


def _before_crop(spec: Preprocessing) -> tuple[int, int]:
    share = spec.crop_fraction if spec.resize == "crop" else 1.0
    return math.ceil(spec.size[0] / share), math.ceil(spec.size[1] / share)


def balanced_indices(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """At most `count` random indices with the classes as even as the labels allow.

    Args:
        labels: int64 [N].
        count: how many.
        seed: of the choice.

    Returns:
        int64 [min(count, N)], ascending.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = np.argsort(labels[shuffled], kind="stable")
    classes, sizes = np.unique(labels, return_counts=True)
    turn = np.concatenate([np.arange(size) for size in sizes]) if len(classes) else by_class
    # The first of each class, then the second of each, until there are enough.
    chosen = by_class[np.argsort(turn, kind="stable")][:count]
    return np.sort(shuffled[chosen]).astype(np.int64)


def view_logits(
    session: ort.InferenceSession, view: View, title: str, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """What an ONNX file answers on a whole split, float32 [N, classes]."""
    parts = []
    with progress.task(title, total=len(view.split)) as advance:
        for indices in view.batches(np.arange(len(view.split))):
            parts.append(run_logits(session, view.inputs(indices)))
            advance(len(indices))
    return np.concatenate(parts)


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float | int]:
    """Share of right answers, and of how many: the form that bundle.json holds."""
    return {"accuracy": float((logits.argmax(axis=1) == labels).mean()), "n": len(labels)}


def choose_evaluation(split: Split, bytes_an_image: int, seed: int) -> NDArray[np.int64]:
    """All test images, or as many as fit, class-balanced; int64 indices."""
    return balanced_indices(split.labels, max(1, EVALUATION_BYTES // bytes_an_image), seed)


def write_evaluation(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    teacher_logits: NDArray[np.float32] | None,
) -> None:
    """Write what a board needs to measure accuracy and agreement without torch.

    Args:
        folder: the bundle.
        images: uint8 [N, H, W, C] before preprocessing.
        labels: int64 [N].
        teacher_logits: float32 [N, classes] on these images; None without a teacher.
    """
    arrays: dict[str, NDArray[Any]] = {"images": images, "labels": labels.astype(np.int64)}
    if teacher_logits is not None:
        arrays["teacher_logits"] = teacher_logits.astype(np.float32)
    _write_arrays(folder / EVALUATION, arrays)


def write_golden(folder: Path, golden: dict[str, NDArray[np.float32]]) -> None:
    """Write a few inputs and logits per variant, for whoever writes the C++ or Android side."""
    _write_arrays(folder / GOLDEN, golden)


def golden_arrays(
    variant: str, session: ort.InferenceSession, inputs: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """One variant's part of golden.npz, answered image by image as a board would."""
    logits = np.concatenate([run_logits(session, inputs[i : i + 1]) for i in range(len(inputs))])
    return {f"{variant}.input": inputs, f"{variant}.logits": logits}


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    # numpy's stub takes each name for its own keyword allow_pickle
    write_with(path, lambda temporary: np.savez_compressed(temporary, **arrays))  # type: ignore[arg-type]
