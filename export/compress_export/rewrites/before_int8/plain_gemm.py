"""Gemm's factors go into its weight and bias, and its bias becomes one value per output.

onnxruntime's quantiser knows no other: a bias of [1, N] or [1] ends it, and one with a factor is
written in steps that no kernel takes.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from compress_export.rewrites import _graph

_FACTORS = ("alpha", "beta")


def rewrite(model: onnx.ModelProto) -> int:
    """Make each Gemm with a constant weight and bias a plain one; returns their number.

    Those whose bias differs from row to row stay. Constants that others read stay as they were.
    """
    graph = model.graph
    changed = sum(_make_plain(graph, node) for node in graph.node if node.op_type == "Gemm")
    if changed:
        _graph.drop_unread(graph)
    return changed


def _make_plain(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    weight = _graph.reals(graph, node.input[1])
    if weight is None:
        return False
    width = weight.shape[0 if _graph.attribute(node, "transB", 0) else 1]
    bias = None
    if len(node.input) > 2 and node.input[2]:
        bias = _graph.reals(graph, node.input[2])
        if bias is None or bias.size not in (1, width) or bias.shape[:-1] not in ((), (1,)):
            return False
    alpha, beta = (_graph.real(node, name, 1.0) for name in _FACTORS)
    if alpha == beta == 1 and (bias is None or bias.shape == (width,)):
        return False
    if alpha != 1:
        node.input[1] = _scaled(graph, node, "weight", weight, alpha)
    if bias is not None:
        node.input[2] = _scaled(graph, node, "bias", np.broadcast_to(bias.ravel(), width), beta)
    kept = [item for item in node.attribute if item.name not in _FACTORS]
    del node.attribute[:]
    node.attribute.extend(kept)
    return True


def _scaled(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    part: str,
    values: NDArray[np.float32],
    factor: float,
) -> str:
    """The name of a copy of a constant, times a factor."""
    return _graph.add_constant(graph, f"{node.output[0]}_{part}", values * np.float32(factor))
