"""BatchNormalization that no convolution could take in becomes a convolution of its own.

It has no integer kernel. One that follows a Concat or an addition, as in DenseNet, is a depthwise
convolution of one pixel, which absorbs the Relu after it.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from compress_export.rewrites import _graph


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each one over [N, C, H, W] with known statistics; returns their number."""
    graph = model.graph

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        statistics = _statistics(graph, node)
        if statistics is None or _graph.rank(graph, node.input[0]) != 4:
            return None
        return [_convolution(graph, node, *statistics)]

    return _graph.replace_nodes(graph, replace)


def _statistics(
    graph: onnx.GraphProto, node: onnx.NodeProto
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Factor and offset per channel: y = factor x + offset; None for any other node."""
    if node.op_type != "BatchNormalization" or _graph.attribute(node, "training_mode", 0):
        return None
    found = [_graph.reals(graph, name) for name in node.input[1:5]]
    weight, bias, mean, variance = (None if v is None else v.astype(np.float64) for v in found)
    if weight is None or bias is None or mean is None or variance is None:
        return None
    factor = weight / np.sqrt(variance + _graph.real(node, "epsilon", 1e-5))
    return factor, bias - mean * factor


def _convolution(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    factor: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> onnx.NodeProto:
    result, channels = node.output[0], len(factor)
    weights = factor.astype(np.float32).reshape(channels, 1, 1, 1)
    inputs = [
        node.input[0],
        _graph.add_constant(graph, f"{result}_factor", weights),
        _graph.add_constant(graph, f"{result}_offset", offset.astype(np.float32)),
    ]
    name = _graph.part_name(node, "Conv")
    return helper.make_node("Conv", inputs, [result], name, group=channels, kernel_shape=[1, 1])
