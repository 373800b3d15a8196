"""A constant that is read in several ways is copied: one for each way.

Integers are stored once a constant, with the scales of one reader: along the output channels of
Conv or Gemm, in the steps of a bias, or one scale for all of an addend. A matrix that a Gemm reads
by rows and a MatMul by columns has no scales that serve both.
"""

from collections.abc import Mapping

import onnx
from onnx import TensorProto, numpy_helper

from compress_export.quantizers.pair_safe import weight_reading
from compress_export.rewrites import _graph

_ELSEWHERE = "elsewhere"  # within the body of an If or Loop, or as an output of the graph

Constants = Mapping[str, onnx.TensorProto]


def rewrite(model: onnx.ModelProto) -> int:
    """Copy float constants until each is read in one way only; returns the number of copies.

    Two convolutions may go on sharing a weight. What bodies of If and Loop read keeps its name.
    """
    graph = model.graph
    constants = {
        tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT
    }
    ways = dict.fromkeys(_read_elsewhere(graph), _ELSEWHERE)
    copies: dict[tuple[str, str], str] = {}
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name not in constants:
                continue
            way = _way(node, i, constants)
            if ways.setdefault(name, way) != way:
                if (name, way) not in copies:
                    values = numpy_helper.to_array(constants[name])
                    copies[name, way] = _graph.add_constant(graph, f"{name}_copy", values)
                node.input[i] = copies[name, way]
    return len(copies)


def _read_elsewhere(graph: onnx.GraphProto) -> list[str]:
    """What is read by others than the graph's own nodes."""
    readers = _graph.count_readers(graph)
    readers.subtract(name for node in graph.node for name in node.input)
    return [name for name, count in readers.items() if count > 0]


def _way(node: onnx.NodeProto, position: int, constants: Constants) -> str:
    """As a weight along which axis, as a bias, or as one of an operator's other inputs."""
    name = node.input[position]
    reading = weight_reading(node, constants[name].dims) if position == 1 else None
    if reading is not None:
        return f"weight {reading}"
    if position == 2 and node.op_type in ("Conv", "Gemm"):
        return "bias"
    return node.op_type
