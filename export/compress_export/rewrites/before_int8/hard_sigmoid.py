"""HardSigmoid, which has no integer kernel, becomes a Clip.

HardSigmoid(x) = Clip(alpha x + beta, 0, 1). After a convolution or a linear layer alpha and beta
go into its weights and bias, and the Clip vanishes into its quantisation: the gate of a
squeeze-and-excitation block is then one integer operator.
"""

import numpy as np
import onnx
from onnx import helper

from compress_export.rewrites import _graph
from compress_export.rewrites.before_int8._layer import scale_layer


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each one; returns their number."""
    graph = model.graph
    makers, readers = _graph.producers(graph), _graph.count_readers(graph)

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "HardSigmoid":
            return None
        alpha, beta = _graph.real(node, "alpha", 0.2), _graph.real(node, "beta", 0.5)
        source = node.input[0]
        layer = makers.get(source) if readers[source] == 1 else None
        if scale_layer(graph, layer, alpha, beta):
            return [_clip(graph, node, source)]
        return _write_out(graph, node, alpha, beta)

    return _graph.replace_nodes(graph, replace)


def _write_out(
    graph: onnx.GraphProto, node: onnx.NodeProto, alpha: float, beta: float
) -> list[onnx.NodeProto]:
    scaled, moved = (
        _graph.free_name(graph, f"{node.output[0]}_{part}") for part in ("scaled", "moved")
    )
    factor = _graph.add_constant(graph, f"{scaled}_factor", np.array(alpha, np.float32))
    offset = _graph.add_constant(graph, f"{moved}_offset", np.array(beta, np.float32))
    return [
        helper.make_node("Mul", [node.input[0], factor], [scaled], _graph.part_name(node, "Mul")),
        helper.make_node("Add", [scaled, offset], [moved], _graph.part_name(node, "Add")),
        _clip(graph, node, moved),
    ]


def _clip(graph: onnx.GraphProto, node: onnx.NodeProto, source: str) -> onnx.NodeProto:
    result = node.output[0]
    low, high = (
        _graph.add_constant(graph, f"{result}_{end}", np.array(value, np.float32))
        for end, value in (("min", 0.0), ("max", 1.0))
    )
    name = _graph.part_name(node, "Clip")
    return helper.make_node("Clip", [source, low, high], [result], name)
