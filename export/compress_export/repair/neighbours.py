"""Pairs of layers between which each channel can be scaled up and down again, exactly.

A convolution or linear layer, then steps that commute with a positive factor per channel (ReLU,
pooling), then a layer that nothing else shares those channels with. A bound such as ReLU6's does
not commute, and ends the search: clip(s x, 0, 6) is not s clip(x, 0, 6).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from compress_export.rewrites import _graph

Scales = NDArray[np.float64]

_EACH_CHANNEL = (
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "LeakyRelu",
    "MaxPool",
    "Relu",
)
_UNROLLS = ("Flatten", "Reshape", "Squeeze")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two layers with nothing but a chain between them.

    Attributes:
        first: name of the layer that makes the channels.
        second: name of the one that reads them.
        tensor: what the first gives, after the activation that follows it: [n, C, ...].
        spread: values of each channel in the second's input: positions that were flattened.
    """

    first: str
    second: str
    tensor: str
    spread: int


def find_pairs(model: onnx.ModelProto) -> tuple[Pair, ...]:
    """All pairs of a float32 graph, in its order."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    readers: dict[str, onnx.NodeProto] = {name: n for n in graph.node for name in n.input}
    counts = _graph.count_readers(graph)
    found = (_pair(graph, node, readers, counts) for node in graph.node)
    return tuple(pair for pair in found if pair is not None)


def scale_pair(model: onnx.ModelProto, pair: Pair, scales: Scales) -> None:
    """Multiply the channels between two layers, in place; what the network answers stays.

    Args:
        model: float32, that holds both.
        pair: of `find_pairs(model)`.
        scales: a positive factor for each channel, [C].
    """
    graph = model.graph
    nodes = {node.name: node for node in graph.node}
    first, second = nodes[pair.first], nodes[pair.second]
    weight = rows_of(graph, first)
    _put(graph, first, 1, _from_rows(first, weight * _column(scales, weight.ndim)))
    if len(first.input) > 2 and first.input[2]:
        _put(graph, first, 2, _constant(graph, first.input[2]) * scales)
    weight = rows_of(graph, second)
    factors = _by_input(second, weight, np.repeat(1 / scales, pair.spread))
    _put(graph, second, 1, _from_rows(second, weight * factors))
    _graph.drop_unread(graph)


def largest_columns(graph: onnx.GraphProto, pair: Pair) -> Scales | None:
    """How much the second layer makes of each channel, beside the others of the same row: [C].

    A row is what one output channel multiplies with, and its largest weight sets its scale. The
    largest share over all rows; None where each channel has rows of its own, as depthwise.
    """
    node = next(node for node in graph.node if node.name == pair.second)
    weight = np.abs(rows_of(graph, node))
    weight = weight.reshape(*weight.shape[:2], -1).max(axis=2)  # [O, I]
    if node.op_type == "Conv" and weight.shape[1] == 1 and _groups(node) > 1:
        return None
    largest = weight.max(axis=1, keepdims=True)
    shares = np.divide(weight, largest, out=np.zeros_like(weight), where=largest > 0)
    by_group = shares.reshape(_groups(node), -1, shares.shape[1]).max(axis=1).reshape(-1)
    return np.asarray(by_group.reshape(-1, pair.spread).max(axis=1))


def rows_of(graph: onnx.GraphProto, node: onnx.NodeProto) -> NDArray[np.float64]:
    """A layer's weight in float64, its output channels first: [O, I] or [O, I/groups, ...]."""
    weight = _constant(graph, node.input[1])
    return weight if _rows_first(node) else weight.T


def _pair(
    graph: onnx.GraphProto,
    first: onnx.NodeProto,
    readers: Mapping[str, onnx.NodeProto],
    counts: Mapping[str, int],
) -> Pair | None:
    if not _gives_channels(graph, first):
        return None
    channels = len(rows_of(graph, first))
    tensor, seen, spread = first.output[0], first.output[0], 1
    for node in _followers(first, readers, counts):
        if node.op_type in ("Relu", "LeakyRelu") and node.input[0] == seen:
            seen = node.output[0]
        if node.op_type in _EACH_CHANNEL or _is_lower_bound(graph, node):
            tensor = node.output[0]
        elif node.op_type in _UNROLLS:
            spread = _unrolled(graph, node, channels)
            tensor = node.output[0]
        else:
            return (
                Pair(first=first.name, second=node.name, tensor=seen, spread=spread)
                if _reads_channels(graph, node, tensor, channels * spread)
                else None
            )
        if not spread:
            return None
    return None


def _followers(
    node: onnx.NodeProto, readers: Mapping[str, onnx.NodeProto], counts: Mapping[str, int]
) -> Iterator[onnx.NodeProto]:
    """What reads a node's output, and what reads that, as long as nothing else does."""
    while len(node.output) == 1 and counts[node.output[0]] == 1 and node.output[0] in readers:
        node = readers[node.output[0]]
        yield node


def _gives_channels(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether it is a layer with constants whose output channels lie along axis 1."""
    if node.op_type not in ("Conv", "Gemm") or not node.name:
        return False
    weight = _graph.reals(graph, node.input[1])
    if weight is None:
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    bias, channels = _graph.reals(graph, node.input[2]), weight.shape[0 if _rows_first(node) else 1]
    return bool(bias is not None and bias.shape == (channels,))


def _reads_channels(graph: onnx.GraphProto, node: onnx.NodeProto, tensor: str, inputs: int) -> bool:
    """Whether it is a layer with a constant weight for each of so many inputs along axis 1."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or not node.name or node.input[0] != tensor:
        return False
    weight = _graph.reals(graph, node.input[1])
    if weight is None or _graph.attribute(node, "transA", 0):
        return False
    if node.op_type == "Conv":
        return bool(weight.shape[1] * _groups(node) == inputs)
    flat = _graph.rank(graph, tensor) == 2 and weight.ndim == 2
    return bool(flat and weight.shape[1 if _rows_first(node) else 0] == inputs)


def _is_lower_bound(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """A Clip that is a ReLU: at 0 from below, and nowhere from above."""
    if node.op_type != "Clip" or len(node.input) < 2:
        return False
    unbounded = len(node.input) < 3 or not node.input[2]
    return unbounded and _graph.scalar(graph, node.input[1]) == 0


def _unrolled(graph: onnx.GraphProto, node: onnx.NodeProto, channels: int) -> int:
    """Positions a channel, where [n, C, ...] becomes [n, C * positions]; 0 for anything else."""
    before, after = (_sizes(graph, name) for name in (node.input[0], node.output[0]))
    if len(after) != 2 or len(before) < 2 or before[1] != channels or 0 in before[1:]:
        return 0
    positions = int(np.prod(before[2:], dtype=np.int64))
    return positions if after[1] == channels * positions else 0


def _sizes(graph: onnx.GraphProto, name: str) -> list[int]:
    """A tensor's shape, 0 for what is not known."""
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.name == name:
            return [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    return []


def _by_input(
    node: onnx.NodeProto, weight: NDArray[np.float64], factors: Scales
) -> NDArray[np.float64]:
    """A factor for each input channel, in the shape of a weight [O, I/groups, ...] to multiply."""
    of_group = factors.reshape(_groups(node), -1)  # [groups, I/groups]
    by_row = np.repeat(of_group, len(weight) // len(of_group), axis=0)
    return np.asarray(by_row.reshape(*weight.shape[:2], *[1] * (weight.ndim - 2)))


def _groups(node: onnx.NodeProto) -> int:
    return _graph.attribute(node, "group", 1) if node.op_type == "Conv" else 1


def _rows_first(node: onnx.NodeProto) -> bool:
    return node.op_type == "Conv" or bool(_graph.attribute(node, "transB", 0))


def _from_rows(node: onnx.NodeProto, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows if _rows_first(node) else rows.T


def _column(scales: Scales, ndim: int) -> Scales:
    return scales.reshape(-1, *[1] * (ndim - 1))


def _constant(graph: onnx.GraphProto, name: str) -> NDArray[np.float64]:
    return np.asarray(_graph.constant(graph, name), dtype=np.float64)


def _put(
    graph: onnx.GraphProto, node: onnx.NodeProto, index: int, value: NDArray[np.float64]
) -> None:
    """A layer's own copy of a constant, since others may share the old one."""
    name = node.input[index]
    node.input[index] = _graph.add_constant(graph, name, value.astype(np.float32))
