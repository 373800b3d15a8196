"""Nodes that are left in float, since integers, or onnxruntime's writer, would spoil their answer.

The writer deletes a Relu or Clip whose input it quantises, and lets the quantised range do its
work. It looks neither at whether the range, which must hold 0, can bound as the node does, nor at
who reads the values within the body of an If or Loop.
"""

from collections.abc import Iterator

import onnx

from compress_export.rewrites import _graph

_BOUNDS = ("Clip", "Relu")

# Between a Softmax and an output, these leave shares what they are.
_PASSING = (
    "Cast",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Squeeze",
)


def kept_float(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes of a float32 graph that the writer must pass by."""
    graph = model.graph
    vanishing = vanishing_bounds(graph)
    return (
        *_without_safe_scales(graph),
        *(node.name for node in final_softmax(graph)),
        *(node.name for node in graph.node if _is_bound(node) and node.output[0] not in vanishing),
        *(node.name for node in graph.node if _has_odd_bias(graph, node)),
    )


def _without_safe_scales(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Names of products that are left in float, since nothing keeps their constants safe.

    Those with a constant of another rank than two, or with one as the first factor, which the
    kernels take for activations.
    """
    constants = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    return tuple(
        node.name
        for node in graph.node
        if node.op_type in ("Gemm", "MatMul")
        and (node.input[0] in constants or constants.get(node.input[1], 2) != 2)
    )


def final_softmax(graph: onnx.GraphProto) -> tuple[onnx.NodeProto, ...]:
    """What makes the first output from logits: a Softmax, and all after it; else nothing.

    A share of 1/256 is the smallest step of an integer Softmax, and all others are 0 or tied.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    found: list[onnx.NodeProto] = []
    node = made_by.get(graph.output[0].name)
    while node is not None and node.op_type in _PASSING:
        found.append(node)
        node = made_by.get(node.input[0])
    return (*found, node) if node is not None and node.op_type == "Softmax" else ()


def vanishing_bounds(graph: onnx.GraphProto) -> frozenset[str]:
    """Outputs of each Relu and Clip that a quantised range can stand for."""
    inner = set(_read_in_bodies(graph))
    return frozenset(
        node.output[0]
        for node in graph.node
        if _is_bound(node)
        and inner.isdisjoint((node.input[0], node.output[0]))
        and _holds_zero(graph, node)
    )


def _is_bound(node: onnx.NodeProto) -> bool:
    return node.op_type in _BOUNDS


def _holds_zero(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether 0 is within the bounds; not where they are computed."""
    least, most = ((*node.input[1:], "", "")[i] for i in (0, 1))
    low = _graph.scalar(graph, least) if least else 0.0
    high = _graph.scalar(graph, most) if most else 0.0
    return low is not None and high is not None and low <= 0 <= high


def _read_in_bodies(graph: onnx.GraphProto) -> Iterator[str]:
    """Names that the bodies of If, Loop and Scan read, their own among them."""
    readers = _graph.count_readers(graph)
    readers.subtract(name for node in graph.node for name in node.input)
    readers.subtract(value.name for value in graph.output)
    return (name for name, count in readers.items() if count > 0)


def _has_odd_bias(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """A Gemm with a bias that the writer takes for one value a channel, and is not.

    plain_gemm.py leaves those with another bias in each row, and those whose weight is computed.
    """
    if node.op_type != "Gemm" or len(node.input) < 3:
        return False
    bias, weight = (_graph.constant(graph, node.input[i]) for i in (2, 1))
    if bias is None:
        return False
    axis = 0 if _graph.attribute(node, "transB", 0) else 1
    return weight is None or weight.ndim != 2 or bias.shape != (weight.shape[axis],)
