"""Cutting into a graph at its two ends: new nodes before and behind, and names that stay apart."""

from collections.abc import Sequence
from typing import Any

import onnx

from compress.errors import ExportError


def only_input(graph: onnx.GraphProto) -> Any:
    """The ValueInfo that is no constant: before IR 4, constants were listed among the inputs."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ExportError(
            f"{graph.name}: expected one input, found {[value.name for value in inputs]}; "
            "export a network that takes images alone"
        )
    return inputs[0]


def append(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto]
) -> None:
    """Add nodes behind all others, whose outputs become the graph's."""
    _name(graph, nodes, "output")
    graph.node.extend(nodes)
    del graph.output[:]
    graph.output.extend(outputs)


def prepend(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Add nodes before all others."""
    _name(graph, nodes, "input")
    ordered = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(ordered)


def _name(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], module: str) -> None:
    """Give each new node a name of its own: module/Operator, then module/Operator:2."""
    used = {node.name for node in graph.node}
    for node in nodes:
        name, count = f"{module}/{node.op_type}", 1
        while name in used:
            count += 1
            name = f"{module}/{node.op_type}:{count}"
        node.name = name
        used.add(name)


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Call a tensor otherwise wherever nodes or constants name it."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    for named in (*graph.initializer, *graph.value_info):
        if named.name == old:
            named.name = new


def free(
    graph: onnx.GraphProto, names: Sequence[str], followed: Sequence[str] = ()
) -> tuple[str, ...]:
    """Call tensors that bear one of `names` otherwise; how those of `followed` are called then."""
    for name in names:
        rename(graph, name, f"{name}/core")
    return tuple(f"{name}/core" if name in names else name for name in followed)
