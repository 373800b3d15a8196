"""A convolution or linear layer takes a factor and an offset into its weights and bias."""

import numpy as np
import onnx
from numpy.typing import NDArray

from compress_export.rewrites import _graph


def scale_layer(
    graph: onnx.GraphProto, layer: onnx.NodeProto | None, factor: float, offset: float
) -> bool:
    """Let a layer compute factor y + offset instead of y.

    Args:
        graph: that holds it.
        layer: the node, changed in place; other layers that share its weights keep theirs.
        factor: of weights and bias.
        offset: added to each output.

    Returns:
        False, with nothing changed, where it is no such layer or its weights are computed.
    """
    if layer is None or not _is_plain(layer):
        return False
    weight = _graph.reals(graph, layer.input[1])
    if weight is None:
        return False
    bias = _bias(graph, layer, weight)
    if bias is None:
        return False
    result = layer.output[0]
    inputs = [
        layer.input[0],
        _graph.add_constant(graph, f"{result}_weight", weight * np.float32(factor)),
        _graph.add_constant(
            graph, f"{result}_bias", bias * np.float32(factor) + np.float32(offset)
        ),
    ]
    del layer.input[:]
    layer.input.extend(inputs)
    return True


def _is_plain(layer: onnx.NodeProto) -> bool:
    if layer.op_type == "Gemm":
        return _graph.real(layer, "alpha", 1.0) == _graph.real(layer, "beta", 1.0) == 1.0
    return layer.op_type == "Conv"


def _bias(
    graph: onnx.GraphProto, layer: onnx.NodeProto, weight: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """The bias, zeros where there is none; None where it is computed."""
    if len(layer.input) > 2 and layer.input[2]:
        return _graph.reals(graph, layer.input[2])
    by_row = layer.op_type == "Conv" or _graph.attribute(layer, "transB", 0)
    return np.zeros(weight.shape[0 if by_row else 1], np.float32)
