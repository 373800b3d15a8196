"""`compress predict`: what an ONNX file sees on images; labels and scores, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.data.image import load_image
from compress.errors import ArtifactError, BenchError, UsageError
from compress.preprocess import to_input
from compress.suggest import did_you_mean
from compress_bench.answers import softmax
from compress_bench.metadata import ModelMetadata, read_metadata
from compress_bench.runner import explain_refusal
from compress_bench.subjects.bundle import REMEDY, read_variants, verify_file
from compress_bench.subjects.sessions import SPINNING, recommended_threads, spins

# The smallest of the files that a user would deploy goes first.
_PREFERRED = ("student_int8", "student")
_ERRORS_ONLY = 3  # onnxruntime's severity


@dataclass(frozen=True)
class _Network:
    """One ONNX file, ready to answer.

    Attributes:
        name: of the variant, or of the file.
        session: onnxruntime's.
        metadata: what the file says about its input and classes.
    """

    name: str
    session: ort.InferenceSession
    metadata: ModelMetadata


def predict(
    subject: Path,
    image_paths: Sequence[Path],
    *,
    variant: str | None = None,
    top: int = 3,
    threads: int | None = None,
) -> list[dict[str, Any]]:
    """Name what images show.

    Args:
        subject: a bundle folder, or an ONNX file that compress export wrote.
        image_paths: image files of any size.
        variant: which file of a bundle; None: student_int8 if it has one, else student.
        top: how many classes to name, at least one.
        threads: of onnxruntime; None: what the bundle recommends with its waiting, else one.

    Returns:
        Per image: {"image", "variant", "predictions": [{"label", "score"}, ...]}, scores in 0..1
        (softmax of the logits), the largest first; of a file that gives labels, one.

    Raises:
        ArtifactError: a file is missing, damaged, or not ours.
        DataError: an image that cannot be read; it is named.
        UsageError: no such variant, or top or threads below one.
    """
    if top < 1:
        raise UsageError(f"--top {top}: expected at least 1")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: expected at least 1")
    network = _open(subject, variant, threads)
    return [
        {
            "image": str(path),
            "variant": network.name,
            "predictions": _rank(network, load_image(path), top),
        }
        for path in image_paths
    ]


def _open(subject: Path, variant: str | None, threads: int | None) -> _Network:
    recommended: Mapping[str, Any] = {}
    if subject.is_dir():
        name, path, recommended = _member(subject, variant)
    elif variant is not None:
        raise UsageError(f"--variant {variant}: expected a bundle folder, found {subject}")
    else:
        name, path = subject.stem, subject
    session = _session(path, threads, recommended)
    return _Network(name, session, read_metadata(session, subject=str(path)))


def _member(folder: Path, wanted: str | None) -> tuple[str, Path, Mapping[str, Any]]:
    """The variant's name, its file, whole and unchanged, and its recommended settings."""
    variants = read_variants(folder)
    name = wanted or next((n for n in _PREFERRED if n in variants), next(iter(variants)))
    if name not in variants:
        raise UsageError(f"--variant {name}: no such variant; {did_you_mean(name, list(variants))}")
    return name, verify_file(folder, variants[name]), variants[name].get("session", {})


def _session(
    path: Path, threads: int | None, recommended: Mapping[str, Any]
) -> ort.InferenceSession:
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; expected a bundle folder or an ONNX file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or recommended_threads(recommended)
    options.log_severity_level = _ERRORS_ONLY
    spinning = threads is None and spins(recommended)
    options.add_session_config_entry(SPINNING, str(int(spinning)))
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ArtifactError(explain_refusal(str(path), ort.__version__, str(error))) from error


def _rank(network: _Network, image: NDArray[np.uint8], top: int) -> list[dict[str, Any]]:
    """The `top` classes of one image, uint8 [H, W, C], or the one that a file with labels names."""
    classes = network.metadata.classes
    (only,) = network.session.get_inputs()
    inputs = to_input(image[None], network.metadata.preprocessing, only.type, only.shape)
    if isinstance(only.shape[0], int):  # a fixed batch: the same image in each place
        inputs = np.repeat(inputs, only.shape[0], axis=0)
    first, *others = (output[0] for output in network.session.run(None, {only.name: inputs}))
    if np.ndim(first) == 0:
        found = {int(first): float(others[0])}
    else:
        found = _best(np.asarray(first, dtype=np.float32), network, top)
    if not found.keys() <= set(range(len(classes))):
        raise _misfit(network, f"label {max(found)}")
    return [{"label": classes[i], "score": score} for i, score in found.items()]


def _best(row: NDArray[np.float32], network: _Network, top: int) -> dict[int, float]:
    """The `top` scores by class; equal ones in the order of the classes. `row` is [classes]."""
    if len(row) != len(network.metadata.classes):
        raise _misfit(network, f"{len(row)} {network.metadata.output}")
    scores = row if network.metadata.output == "scores" else softmax(row[None])[0]
    best = np.argsort(-scores, kind="stable")[:top]
    return {int(i): float(scores[i]) for i in best}


def _misfit(network: _Network, found: str) -> BenchError:
    return BenchError(
        f"{network.name}: expected one of {len(network.metadata.classes)} classes as in its "
        f"metadata, found {found}; {REMEDY}"
    )
