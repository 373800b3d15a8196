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
from compress.preprocess import Preprocessing
from compress.progress import SILENT, Progress
from compress_bench.subjects.evaluation_set import batches
from compress_export.session import feed, run_images

EVALUATION = "evaluation.npz"
GOLDEN = "golden.npz"

GOLDEN_IMAGES = 4
OUTPUTS = ("logits", "scores", "label", "score")  # names that our files give theirs


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

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images `indices` before preprocessing, uint8 [B, H, W, C]."""
        return np.concatenate([self._read(part) for part in self.batches(indices)])

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.asarray(self.split.images.batch(indices, self.size), dtype=np.uint8)

    def batches(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Cut indices, int64 [N], into batches whose pixels and activations fit the memory."""
        return batches(indices, self.size, self.preprocessing.size)

    def logits(
        self,
        session: ort.InferenceSession,
        title: str,
        progress: Progress = SILENT,
        indices: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """What a network answers on images `indices`, all of them if None: [N, classes]."""
        chosen = np.arange(len(self.split)) if indices is None else indices
        parts = []
        with progress.task(title, total=len(chosen)) as advance:
            for part in self.batches(chosen):
                parts.append(run_images(session, self._read(part), self.preprocessing))
                advance(len(part))
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


def write_golden(folder: Path, golden: Mapping[str, NDArray[Any]]) -> None:
    """Write a few inputs and outputs per variant, for whoever writes the C++ or Android side."""
    _write_arrays(folder / GOLDEN, golden)


def golden_arrays(
    variant: str,
    session: ort.InferenceSession,
    images: NDArray[np.uint8],
    spec: Preprocessing,
) -> dict[str, NDArray[Any]]:
    """One variant's part of golden.npz, answered as a board would, a batch of the file's at a time.

    Args:
        variant: prefix of the names: VARIANT.input, and VARIANT.logits or what its outputs are.
        session: of its file.
        images: uint8 [N, H, W, C]; those that do not fill a fixed batch are left out.
        spec: what the network wants.
    """
    (only,) = session.get_inputs()
    step = only.shape[0] if isinstance(only.shape[0], int) else 1
    inputs = feed(session, np.resize(images, (max(step, len(images)), *images.shape[1:])), spec)
    inputs = inputs[: len(inputs) // step * step]
    parts = [
        session.run(None, {only.name: inputs[start : start + step]})
        for start in range(0, len(inputs), step)
    ]
    names = [value.name for value in session.get_outputs()]
    found = {
        name: np.concatenate(rows)
        for name, rows in zip(names, zip(*parts, strict=True), strict=True)
    }
    if len(names) == 1 and names[0] not in OUTPUTS:  # a foreign file's own name for its logits
        found = {"logits": found[names[0]]}
    return {f"{variant}.input": inputs} | {f"{variant}.{n}": rows for n, rows in found.items()}


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    # numpy's stub takes each name for its own keyword allow_pickle
    write_with(path, lambda temporary: np.savez_compressed(temporary, **arrays))  # type: ignore[arg-type]
