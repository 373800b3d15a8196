"""Relu and Clip that change nothing go; two in a row become one.

A convolution followed by one Relu or Clip is a single integer operator; the second would stand
between two quantisations.
"""

import math

import numpy as np
import onnx
from onnx import helper

from compress_export.rewrites import _graph

Interval = tuple[float, float]

_ANYTHING = (-math.inf, math.inf)

# Their results lie here whatever they are given.
_WITHIN: dict[str, Interval] = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Exp": (0.0, math.inf),
    "Abs": (0.0, math.inf),
}

# Each value of their result is one of their first input's, or an average of some.
_PASS = (
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


def rewrite(model: onnx.ModelProto) -> int:
    """Remove or merge them; returns the number of nodes removed."""
    graph = model.graph
    changed = _merge(graph)
    known = _intervals(graph)
    for node in list(graph.node):
        bounds = _bounds(graph, node)
        if bounds is None:
            continue
        low, high = known.get(node.input[0], _ANYTHING)
        if bounds[0] <= low and high <= bounds[1]:
            changed += _graph.bypass(graph, node)
    if changed:
        _graph.drop_unread(graph)
    return changed


def _bounds(graph: onnx.GraphProto, node: onnx.NodeProto) -> Interval | None:
    """What a Relu or a Clip with constant bounds limits to; None for any other node."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip" or any(item.name in ("min", "max") for item in node.attribute):
        return None
    bounds = []
    for i, open_end in ((1, -math.inf), (2, math.inf)):
        name = node.input[i] if len(node.input) > i else ""
        value = _graph.scalar(graph, name) if name else open_end
        if value is None:
            return None
        bounds.append(value)
    low, high = bounds
    return (low, high) if low <= high else None


def _merge(graph: onnx.GraphProto) -> int:
    """Make one Clip of a Relu or Clip that alone reads another."""
    makers, readers = _graph.producers(graph), _graph.count_readers(graph)
    merged = 0
    for node in list(graph.node):
        outer = _bounds(graph, node)
        first = makers.get(node.input[0]) if outer else None
        inner = _bounds(graph, first) if first is not None else None
        if outer is None or first is None or inner is None or readers[node.input[0]] != 1:
            continue
        limits = [min(max(value, outer[0]), outer[1]) for value in inner]
        replacement = _clip(graph, node, first.input[0], (limits[0], limits[1]))
        node.CopyFrom(replacement)
        graph.node.remove(first)
        makers, readers = _graph.producers(graph), _graph.count_readers(graph)
        merged += 1
    return merged


def _clip(
    graph: onnx.GraphProto, node: onnx.NodeProto, source: str, limits: Interval
) -> onnx.NodeProto:
    result = node.output[0]
    if limits == (0.0, math.inf):
        return helper.make_node("Relu", [source], [result], node.name)
    inputs = [source]
    for end, limit in zip(("min", "max"), limits, strict=True):
        value = np.array(limit, np.float32)
        inputs.append(
            _graph.add_constant(graph, f"{result}_{end}", value) if math.isfinite(limit) else ""
        )
    return helper.make_node("Clip", inputs if inputs[2] else inputs[:2], [result], node.name)


def _intervals(graph: onnx.GraphProto) -> dict[str, Interval]:
    """Where the values of each tensor are known to lie."""
    known: dict[str, Interval] = {}
    for node in graph.node:  # in topological order
        inputs = [known.get(name, _ANYTHING) for name in node.input if name]
        known.update(dict.fromkeys(node.output, _interval(graph, node, inputs)))
    return known


def _interval(graph: onnx.GraphProto, node: onnx.NodeProto, inputs: list[Interval]) -> Interval:
    """Where a node's results lie, from where its inputs do."""
    bounds = _bounds(graph, node)
    lows, highs = [low for low, _ in inputs], [high for _, high in inputs]
    found = _WITHIN.get(node.op_type, _ANYTHING)
    if bounds is not None:
        found = min(max(lows[0], bounds[0]), bounds[1]), max(min(highs[0], bounds[1]), bounds[0])
    elif node.op_type in _PASS:
        found = inputs[0]
    elif node.op_type == "AveragePool":  # padding may count as zeros
        found = min(lows[0], 0.0), max(highs[0], 0.0)
    elif node.op_type == "Concat":
        found = min(lows), max(highs)
    elif node.op_type == "Add":
        found = sum(lows), sum(highs)
    elif node.op_type == "Mul" and min(lows) >= 0:
        found = 0.0, math.inf
    return found
