"""Which images are looked at, and what the ONNX files say about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.artifacts import write_with
from compress.data.dataset import Split
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT, Progress
from compress_bench.evaluation_set import batches
from compress_export.session import run_logits

EVALUATION = "evaluation.npz"
GOLDEN = "golden.npz"

GOLDEN_IMAGES = 4


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
        return np.concatenate([self._read(part) for part in self.batches(indices)])

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        pixels = self.split.images.batch(indices, self.size)
        return np.asarray(preprocess(pixels, self.preprocessing), dtype=np.float32)

    def batches(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Cut indices, int64 [N], into batches whose pixels and activations fit the memory."""
        return batches(indices, self.size, self.preprocessing.size)


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
