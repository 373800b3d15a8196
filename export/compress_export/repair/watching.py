"""Running a graph on calibration images, with some of its inner tensors handed out on the way."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from compress_export.session import AS_WRITTEN, open_session, session_options

_PORTION = 8  # images whose activations are in memory at a time


def watch(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Iterable[NDArray[np.generic]],
    threads: int | None,
) -> Iterator[list[NDArray[np.float32]]]:
    """Run the images, a few at a time, and give the tensors of each portion.

    The graph runs as it is written, so that a quantised one shows what its integers stand for.

    Args:
        model: with one input; not changed.
        tensors: their names, each float.
        batches: inputs, each [B, ...] as the graph takes them; whole ones where its batch is fixed.
        threads: onnxruntime's; all cores if None.

    Yields:
        One array [n, ...] for each tensor, in order.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {value.name for value in watched.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in given:
            watched.graph.output.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            )
    options = session_options(threads, AS_WRITTEN)
    session = open_session(watched, options, subject="calibration graph")
    (value,) = session.get_inputs()
    step = value.shape[0] if isinstance(value.shape[0], int) else _PORTION
    for batch in batches:
        for start in range(0, len(batch), step):
            yield session.run(list(tensors), {value.name: batch[start : start + step]})
