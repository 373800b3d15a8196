"""onnxruntime sessions as this stage opens them."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.errors import ExportError

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
    model: Path | bytes, options: ort.SessionOptions, *, subject: str
) -> ort.InferenceSession:
    """Load a file, or its bytes, on the CPU.

    Args:
        model: the ONNX file.
        options: see `session_options`.
        subject: how an error names the network.

    Raises:
        ExportError: onnxruntime refuses the graph.
    """
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ExportError(
            f"{subject}: onnxruntime {ort.__version__} cannot load it ({_first_line(error)}); "
            "try another --opset or a newer onnxruntime"
        ) from error


def run_logits(session: ort.InferenceSession, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """One batch [B, c, h, w] through a network with one input and one output; [B, classes]."""
    (name,) = (value.name for value in session.get_inputs())
    (logits,) = session.run(None, {name: inputs})
    return np.asarray(logits, dtype=np.float32)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
