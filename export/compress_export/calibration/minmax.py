"""The smallest and the largest value that each tensor takes on the calibration images."""

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from compress.errors import ExportError
from compress_export.calibration import Ranges
from compress_export.session import AS_WRITTEN, open_session, session_options


def collect(
    model: onnx.ModelProto,
    tensors: tuple[str, ...],
    batches: Iterable[NDArray[np.float32]],
    threads: int | None,
) -> Ranges:
    """Run the batches one after the other; only two numbers a tensor are kept.

    Args:
        model: float32 network with one input; not changed.
        tensors: names of the activations to watch.
        batches: inputs, each [B, c, h, w].
        threads: onnxruntime's; all cores if None.

    Raises:
        ExportError: no images, or a value that is not finite.
    """
    watched = _with_extremes(model, tensors)
    options = session_options(threads, AS_WRITTEN)  # fusions would remove watched tensors
    session = open_session(watched.SerializeToString(), options, subject="calibration graph")
    (input_name,) = (value.name for value in session.get_inputs())
    low = np.full(len(tensors), np.inf)
    high = np.full(len(tensors), -np.inf)
    for inputs in batches:
        extremes = np.array(session.run(None, {input_name: inputs}), dtype=np.float64)
        low = np.minimum(low, extremes[0::2])  # NaN wins, and is found below
        high = np.maximum(high, extremes[1::2])
    _check(tensors, low, high)
    return {name: (float(a), float(b)) for name, a, b in zip(tensors, low, high, strict=True)}


def _with_extremes(model: onnx.ModelProto, tensors: tuple[str, ...]) -> onnx.ModelProto:
    """The network with minimum and maximum of each tensor, in turn, as its only outputs."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph = watched.graph
    del graph.output[:]
    for index, name in enumerate(tensors):
        for operator in ("ReduceMin", "ReduceMax"):
            output = f"compress_{operator}_{index}"
            graph.node.append(helper.make_node(operator, [name], [output], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, []))
    return watched


def _check(tensors: tuple[str, ...], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    broken = [
        name
        for name, finite in zip(tensors, np.isfinite(low) & np.isfinite(high), strict=True)
        if not finite
    ]
    if len(broken) == len(tensors):
        raise ExportError(
            "calibration: expected finite values from at least one training image, found none; "
            "look at --calibration-images and at the network's weights"
        )
    if broken:
        raise ExportError(
            f"calibration: expected finite values, found NaN or infinity in {broken[0]} "
            f"({len(broken)} of {len(tensors)} tensors); look at the network's weights"
        )
