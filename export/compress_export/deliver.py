"""A graph becomes the file that was asked for: its two ends, its batch, what it says of itself."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.artifacts import write_bytes
from compress.errors import ExportError
from compress.preprocess import Preprocessing
from compress.settings import Export
from compress.settings.export import InputKind
from compress_bench.metadata import PRECISION, DataOrigin, model_metadata
from compress_export.ends import attach_ends, ends_in_softmax, fix_batch
from compress_export.portability import Portability, make_portable
from compress_export.session import run_images
from compress_export.sources import Source
from compress_export.work import Work

CHECKED = 5  # images on which a file is held against its graph

# Of the largest logit. An int8 file is off by a whole step or not at all, far more than this.
_RELATIVE_TOLERANCE = 1e-4


def deliver(
    work: Work,
    role: str,
    core: onnx.ModelProto,
    *,
    source: Source,
    precision: str,
    metrics: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a graph as one file, and see that it answers as the graph did.

    Args:
        work: what is asked for.
        role: decides the file's name.
        core: float32 or quantised, with the source's own input and logits; not changed.
        source: whose network it is.
        precision: float32 or int8.
        metrics: measured on validation, for the file's own metadata.

    Returns:
        What was proven about the two ends, for bundle.json.

    Raises:
        ExportError: the graph breaks ONNX's rules, or the file answers otherwise.
    """
    settings, path = work.settings, work.path(role)
    graph = finish(core, source.preprocessing, settings, work.portability)
    given = "scores" if ends_in_softmax(core) else "logits"  # a foreign file may end so
    output = given if settings.output == "logits" else settings.output
    said = {"output": output, "metrics": metrics, "precision": precision}
    _describe(graph, work, source, said | {"input": _input_kind(graph)})
    save_checked(graph, path, subject=path.name)
    view = work.view(work.dataset.validation, source.preprocessing)
    images = view.pixels(np.arange(min(CHECKED, len(view.split))))
    answers = run_images(work.core_session(role, core), images, source.preprocessing)
    found = run_images(work.session(role), images, source.preprocessing)
    difference = compare_ends(_as_kind(answers, given, output), found, subject=path.name)
    return {"input": _input_kind(graph), "output": output, "max_abs_difference": difference}


def finish(
    core: onnx.ModelProto,
    preprocessing: Preprocessing,
    settings: Export,
    portability: Portability,
) -> onnx.ModelProto:
    """A new graph with the ends, the batch and the operator set that were asked for."""
    graph = attach_ends(core, preprocessing, settings.input, settings.output)
    if settings.batch_size is not None:
        graph = fix_batch(graph, settings.batch_size)
    return make_portable(graph, portability)


def save_checked(graph: onnx.ModelProto, path: Any, *, subject: str) -> None:
    """Run the ONNX checker and write the file whole or not at all.

    Raises:
        ExportError: the graph breaks ONNX's rules.
    """
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"{subject}: the exported graph is not valid ONNX ({_first_line(error)}); "
            "try another --opset"
        ) from error
    write_bytes(path, graph.SerializeToString(deterministic=True))


def compare_ends(
    expected: NDArray[np.float64], found: NDArray[np.float32], *, subject: str
) -> float:
    """The largest difference between what a graph answers and what the file made from it does.

    Args:
        expected: logits or scores [N, classes], or labels [N].
        found: the file's first output, of the same images.
        subject: how an error names the file.

    Raises:
        ExportError: it is more than rounding.
    """
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    if not difference <= _RELATIVE_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportError(
            f"{subject}: expected its answers to stay as they were when its input and output were "
            f"changed, found a difference of {difference:.3g}; this is a fault of compress: report "
            "it with the network, and export with --input float --output logits"
        )
    return difference


def _as_kind(answers: NDArray[np.float32], given: str, kind: str) -> NDArray[np.float64]:
    """What a file of `kind` should answer where its graph gives these logits or scores."""
    rows = answers.astype(np.float64)
    if kind == "label":
        return np.asarray(rows.argmax(axis=1), dtype=np.float64)
    return rows if kind == given else _softmax(rows)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _describe(graph: onnx.ModelProto, work: Work, source: Source, said: Mapping[str, Any]) -> None:
    """Make the file enough by itself; `said` holds its two ends, metrics and precision."""
    entries = model_metadata(
        preprocessing=source.preprocessing,
        classes=source.classes,
        parameters=source.parameters,
        network=source.name,
        data=DataOrigin(work.dataset.name, work.dataset.fingerprint),
        input=said["input"],
        output=said["output"],
        metrics=said["metrics"],
        min_runtime=work.portability.runtime,
        weights_sha256=source.sha256,
    )
    onnx.helper.set_model_props(graph, entries | {PRECISION: said["precision"]})


def _input_kind(graph: onnx.ModelProto) -> InputKind:
    """What the file takes: a foreign one may take bytes without having been asked."""
    takes = graph.graph.input[0].type.tensor_type.elem_type
    return "uint8" if takes == onnx.TensorProto.UINT8 else "float"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
