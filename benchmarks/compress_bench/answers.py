"""What a file says of images: the class of each and how sure it is, from logits, scores or labels.

The three are read here and nowhere else, so that files of different kinds can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import ArtifactError
from compress.preprocess import FLOAT_INPUTS, UINT8_INPUT, Preprocessing
from compress_bench.metadata import OUTPUT

KINDS = ("logits", "scores", "label")
_SUM_TOLERANCE = 1e-3  # of float16 scores over a thousand classes


@dataclass(frozen=True)
class Answers:
    """One variant's answers.

    Attributes:
        labels: the class of each image, int64 [N].
        confidence: its share among the classes, 0 to 1, float64 [N].
    """

    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]


def join(parts: Sequence[Answers]) -> Answers:
    """Answers on images that follow each other."""
    return Answers(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )


def output_kind(model: Mapping[str, Any], subject: str) -> str | None:
    """What a file gives: logits, scores or label; None where it does not say.

    Args:
        model: the runner's `model` event.
        subject: how an error names the file.

    Raises:
        ArtifactError: it names a kind that does not exist.
    """
    if model["outputs"][0]["type"] == "tensor(int64)":  # the number of a class, whatever is said
        return "label"
    said: str | None = model["metadata"].get(OUTPUT)
    if said is not None and said not in KINDS:
        raise ArtifactError(
            f"{subject}: expected its metadata {OUTPUT} to be one of {', '.join(KINDS)}, found "
            f"{said!r}; give compress export again with --force"
        )
    return said


def why_no_answers(model: Mapping[str, Any], spec: Preprocessing | None) -> str:
    """Why a file's accuracy cannot be measured; empty where it can.

    Args:
        model: the runner's `model` event.
        spec: how images become its input; None where it takes none.
    """
    if spec is None:
        return (
            "expected one input [batch, 1 or 3, height, width] or [batch, height, width, 1 or 3], "
            f"found {_listed(model['inputs'])}"
        )
    if model["inputs"][0]["type"] not in (*FLOAT_INPUTS, UINT8_INPUT):
        return f"expected an input of float or uint8, found {_listed(model['inputs'])}"
    outputs = [(value["type"], len(value["shape"])) for value in model["outputs"]]
    rows = outputs[0][0] in FLOAT_INPUTS and outputs[0][1] == 2
    labels = outputs[0] == ("tensor(int64)", 1) and outputs[1:2] in [[(t, 1)] for t in FLOAT_INPUTS]
    if rows or labels:
        return ""
    return (
        "expected output [batch, classes], or label and score of [batch] each, found "
        f"{_listed(model['outputs'])}"
    )


def _listed(values: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{v['name']}: {v['type']} {v['shape']}" for v in values) or "none"


def read_rows(rows: NDArray[np.float32], output: str | None) -> Answers:
    """Answers from logits or scores; of equal ones the first counts.

    Args:
        rows: float32 [N, classes].
        output: logits or scores; None: scores if each row is of shares that sum to one.
    """
    scores = output == "scores" or (output is None and _are_shares(rows))
    shares = rows.astype(np.float64) if scores else softmax(rows)
    return Answers(np.asarray(rows.argmax(axis=1), dtype=np.int64), shares.max(axis=1))


def _are_shares(rows: NDArray[np.float32]) -> bool:
    return bool(rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() <= _SUM_TOLERANCE)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shares that sum to one: [N, classes] -> [N, classes]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
