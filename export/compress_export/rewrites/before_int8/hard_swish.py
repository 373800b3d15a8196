"""HardSwish, which has no integer kernel, becomes an addition, a Clip and a product.

HardSwish(x) = x Clip(x + 3, 0, 6) / 6. With u = x / sqrt(6) that is u Clip(u + sqrt(1.5), 0,
sqrt(6)): the layer before takes the factor 1 / sqrt(6) into its weights, the Clip vanishes into a
quantisation, and two integer operators are left. Written with a division they are three, and
MobileNetV3-small is an eighth slower.
"""

import math

import numpy as np
import onnx
from onnx import helper

from compress_export.rewrites import _graph
from compress_export.rewrites.before_int8._layer import scale_layer

_ROOT = math.sqrt(6)


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each one; returns their number."""
    graph = model.graph
    makers, readers = _graph.producers(graph), _graph.count_readers(graph)

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "HardSwish":
            return None
        source = node.input[0]
        layer = makers.get(source) if readers[source] == 1 else None
        if scale_layer(graph, layer, 1 / _ROOT, 0.0):
            return _write_out(graph, node, source)
        scaled = _graph.free_name(graph, f"{node.output[0]}_scaled")
        factor = _number(graph, node, "factor", 1 / _ROOT)
        first = helper.make_node("Mul", [source, factor], [scaled], _graph.part_name(node, "Scale"))
        return [first, *_write_out(graph, node, scaled)]

    return _graph.replace_nodes(graph, replace)


def _write_out(graph: onnx.GraphProto, node: onnx.NodeProto, scaled: str) -> list[onnx.NodeProto]:
    """From u = x / sqrt(6), named `scaled`."""
    result = node.output[0]
    moved, gate = (_graph.free_name(graph, f"{result}_{part}") for part in ("moved", "gate"))
    low, high = (_number(graph, node, "min", 0.0), _number(graph, node, "max", _ROOT))

    def part(operator: str, inputs: list[str], output: str) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [output], _graph.part_name(node, operator))

    return [
        part("Add", [scaled, _number(graph, node, "offset", 3 / _ROOT)], moved),
        part("Clip", [moved, low, high], gate),
        part("Mul", [scaled, gate], result),
    ]


def _number(graph: onnx.GraphProto, node: onnx.NodeProto, name: str, value: float) -> str:
    return _graph.add_constant(graph, f"{node.output[0]}_{name}", np.array(value, np.float32))
