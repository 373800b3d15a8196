"""Division by a constant becomes multiplication, subtraction of one addition.

Div and Sub have no integer kernels, Mul and Add have. Hand-written hard-swish, scaled attention
and normalisation within forward are written with them.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from compress_export.rewrites import _graph


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each Div and Sub whose second input is a float constant; returns their number."""
    graph = model.graph

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type not in ("Div", "Sub"):
            return None
        value = _graph.reals(graph, node.input[1])
        if value is None:
            return None
        if node.op_type == "Sub":
            return [_with(graph, node, "Add", -value)]
        with np.errstate(divide="ignore", over="ignore"):
            reciprocal = (1 / value).astype(np.float32)
        return [_with(graph, node, "Mul", reciprocal)] if np.isfinite(reciprocal).all() else None

    return _graph.replace_nodes(graph, replace)


def _with(
    graph: onnx.GraphProto, node: onnx.NodeProto, operator: str, value: NDArray[np.float32]
) -> onnx.NodeProto:
    constant = _graph.add_constant(graph, f"{node.output[0]}_{operator.lower()}", value)
    name = _graph.part_name(node, operator)
    return helper.make_node(operator, [node.input[0], constant], [node.output[0]], name)
