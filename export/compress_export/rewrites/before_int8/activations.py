"""Hard-sigmoid and hard-swish that are written out become one operator again.

Networks write relu6(x + 3) / 6 by hand, and so do exporters of other frameworks. Named, they are
folded into the layer before by hard_sigmoid.py and hard_swish.py, which come after this file.
"""

import math
from functools import partial

import onnx
from onnx import helper

from compress_export.rewrites import _graph

_ALPHA, _BETA = 1 / 6, 0.5
_TOLERANCE = 1e-6  # of a float32 constant


def rewrite(model: onnx.ModelProto) -> int:
    """Name each one; returns their number."""
    graph = model.graph
    named = 0
    for match in (_hard_swish_divided, _hard_sigmoid, _hard_swish):  # the largest first
        named += _graph.replace_nodes(graph, partial(match, graph))
    if named:
        _drop_unread_nodes(graph)
    return named


def _hard_swish_divided(
    graph: onnx.GraphProto, node: onnx.NodeProto
) -> list[onnx.NodeProto] | None:
    """(x * relu6(x + 3)) / 6."""
    product = _sixth_of(graph, node)
    if product is None or product.op_type != "Mul":
        return None
    for source, gate in (product.input, reversed(product.input)):
        if _relu6_of_moved(graph, gate) == source:
            return [_swish(node, source)]
    return None


def _hard_sigmoid(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """relu6(x + 3) / 6."""
    limited = _sixth_of(graph, node)
    source = _relu6_of_moved(graph, limited.output[0]) if limited is not None else None
    if source is None:
        return None
    name = _graph.part_name(node, "HardSigmoid")
    made = helper.make_node("HardSigmoid", [source], [node.output[0]], name, alpha=_ALPHA)
    return [made]


def _hard_swish(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """A product of x and hard-sigmoid(x)."""
    if node.op_type != "Mul":
        return None
    makers = _graph.producers(graph)
    for source, name in (node.input, reversed(node.input)):
        gate = makers.get(name)
        if gate is None or gate.op_type != "HardSigmoid" or gate.input[0] != source:
            continue
        alpha, beta = _graph.real(gate, "alpha", 0.2), _graph.real(gate, "beta", 0.5)
        if _near(alpha, _ALPHA) and _near(beta, _BETA):
            return [_swish(node, source)]
    return None


def _swish(node: onnx.NodeProto, source: str) -> onnx.NodeProto:
    name = _graph.part_name(node, "HardSwish")
    return helper.make_node("HardSwish", [source], [node.output[0]], name)


def _sixth_of(graph: onnx.GraphProto, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """What a node divides by six; None where it does something else."""
    if node.op_type not in ("Div", "Mul"):
        return None
    wanted = 6.0 if node.op_type == "Div" else 1 / 6
    value = _graph.scalar(graph, node.input[1])
    if value is None or not _near(value, wanted):
        return None
    return _graph.producers(graph).get(node.input[0])


def _relu6_of_moved(graph: onnx.GraphProto, name: str) -> str | None:
    """The x of relu6(x + 3)."""
    makers = _graph.producers(graph)
    clip = makers.get(name)
    if clip is None or clip.op_type != "Clip" or len(clip.input) < 3:
        return None
    if [_graph.scalar(graph, end) for end in clip.input[1:]] != [0.0, 6.0]:
        return None
    moved = makers.get(clip.input[0])
    if moved is None or moved.op_type != "Add":
        return None
    for source, offset in (moved.input, reversed(moved.input)):
        if _graph.scalar(graph, offset) == 3.0:
            return str(source)
    return None


def _near(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=_TOLERANCE)


def _drop_unread_nodes(graph: onnx.GraphProto) -> None:
    """Remove the steps of which nothing is read any more, the last first."""
    for node in reversed(list(graph.node)):
        readers = _graph.count_readers(graph)
        if not any(readers[name] for name in node.output):
            graph.node.remove(node)
    _graph.drop_unread(graph)
