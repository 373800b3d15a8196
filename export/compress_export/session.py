"""onnxruntime sessions as this stage opens them."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from compress.errors import ExportError
from compress.preprocess import Preprocessing, to_input

_ERRORS_ONLY = 3  # onnxruntime's severity; its warnings speak of the machine, not of the network

OPTIMISED = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
AS_WRITTEN = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def session_options(
    threads: int | None, level: ort.GraphOptimizationLevel = OPTIMISED
) -> ort.SessionOptions:
    """Options that keep to `threads` cores (all if None) and leave them free between runs."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Spinning threads take the cores from whoever else works on this machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(
    model: Path | bytes | onnx.ModelProto, options: ort.SessionOptions, *, subject: str
) -> ort.InferenceSession:
    """Load a file, its bytes or a graph, on the CPU.

    Args:
        model: the ONNX file.
        options: see `session_options`.
        subject: how an error names the network.

    Raises:
        ExportError: onnxruntime refuses the graph.
    """
    source = str(model) if isinstance(model, Path) else model
    source = source.SerializeToString() if isinstance(source, onnx.ModelProto) else source
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ExportError(
            f"{subject}: onnxruntime {ort.__version__} cannot load it ({_first_line(error)}); "
            "try another --opset or a newer onnxruntime"
        ) from error


def feed(
    session: ort.InferenceSession, images: NDArray[np.uint8], spec: Preprocessing
) -> NDArray[np.generic]:
    """Images [N, H, W, C] in the type and layout of a session's only input."""
    (only,) = session.get_inputs()
    return np.asarray(to_input(images, spec, only.type, only.shape))


def run_images(
    session: ort.InferenceSession, images: NDArray[np.uint8], spec: Preprocessing
) -> NDArray[np.float32]:
    """What a network says of images, by its first output; a fixed batch is filled up and cut.

    Args:
        session: one input, of images.
        images: uint8 [N, H, W, C].
        spec: what its images must go through.

    Returns:
        float32 [N, classes].
    """
    return run_logits(session, feed(session, images, spec))


def run_logits(session: ort.InferenceSession, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """The first output of a network for ready inputs [N, ...]; [N, classes]."""
    (only,) = session.get_inputs()
    step = only.shape[0] if isinstance(only.shape[0], int) else len(inputs)
    name = session.get_outputs()[0].name
    parts = []
    for start in range(0, len(inputs), max(1, step)):
        batch = inputs[start : start + step]
        filled = np.concatenate([batch, np.repeat(batch[-1:], step - len(batch), axis=0)])
        (found,) = session.run([name], {only.name: np.ascontiguousarray(filled)})
        parts.append(np.asarray(found[: len(batch)], dtype=np.float32))
    return np.concatenate(parts)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
