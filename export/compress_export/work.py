"""What every step of one export needs, and what each leaves for the next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from compress.data.dataset import Dataset, Split
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Export
from compress_export.bundle import Variant
from compress_export.ends import ends_in_softmax
from compress_export.evaluation import View
from compress_export.portability import Portability
from compress_export.session import open_session, session_options

FILES = {
    "teacher": "teacher.onnx",
    "student": "student.onnx",
    "baseline": "baseline.onnx",
    "student_int8": "student.int8.onnx",
}
_LEAST_SCORE = np.float32(1e-30)  # a softmax rounded to 0 has no logarithm


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every step of one export needs.

    Attributes:
        out: the bundle's folder.
        dataset: the images.
        size: height and width at which they are read.
        settings: what is written.
        portability: the operator set and what reads it.
        seed: of every choice of images.
        threads: onnxruntime's; all cores if None.
        progress: where steps are reported.
    """

    out: Path
    dataset: Dataset
    size: tuple[int, int]
    settings: Export
    portability: Portability
    seed: int
    threads: int | None
    progress: Progress

    def view(self, split: Split, preprocessing: Preprocessing) -> View:
        """A split as one network gets it."""
        return View(split, self.size, preprocessing)

    def path(self, role: str) -> Path:
        """Where the file of a role goes."""
        return self.out / FILES[role]

    def session(self, role: str) -> ort.InferenceSession:
        """The file of a role, opened as a board would."""
        path = self.path(role)
        return open_session(path, session_options(self.threads), subject=path.name)

    def core_session(self, role: str, core: onnx.ModelProto) -> ort.InferenceSession:
        """A graph that is not a file yet."""
        return open_session(core, session_options(self.threads), subject=FILES[role])

    def logits(
        self,
        role: str,
        core: onnx.ModelProto,
        view: View,
        title: str,
        indices: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """What a graph answers on images of a view, all of them if `indices` is None.

        A foreign graph that ends in a softmax has its logarithm taken: logits but for a constant.

        Returns:
            float32 [N, classes].
        """
        rows = view.logits(self.core_session(role, core), title, self.progress, indices)
        return as_logits(core, rows)


def as_logits(core: onnx.ModelProto, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a graph answers, float32 [N, classes], as logits: shares have their logarithm taken."""
    return np.log(np.maximum(rows, _LEAST_SCORE)) if ends_in_softmax(core) else rows


@dataclass(frozen=True, kw_only=True)
class Result:
    """One exported file.

    Attributes:
        variant: its entry in the bundle.
        core: its graph before it got the input and the output that were asked for.
        logits: on the validation split, float32 [N, classes].
        checks: what was proven about it, by topic.
    """

    variant: Variant
    core: onnx.ModelProto
    logits: NDArray[np.float32]
    checks: dict[str, Any]
