"""Small questions that rewrites ask of a graph."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def constant(graph: onnx.GraphProto, name: str) -> NDArray[np.generic] | None:
    """The value of an initializer or of a Constant node's output; None where it is computed."""
    for tensor in graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            return None if value is None else np.asarray(numpy_helper.to_array(value))
    return None


def rank(graph: onnx.GraphProto, name: str) -> int | None:
    """Number of axes of a tensor; None where the graph does not say."""
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.name == name and value.type.tensor_type.HasField("shape"):
            return len(value.type.tensor_type.shape.dim)
    return None


def drop_unread_constants(graph: onnx.GraphProto) -> None:
    """Remove initializers that no node reads and no output shows."""
    read = {name for node in graph.node for name in node.input}
    read |= {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)
