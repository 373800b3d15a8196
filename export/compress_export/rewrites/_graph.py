"""What rewrites ask of a graph, and the few ways in which they change it."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# A node's replacement; None leaves it.
Replace = Callable[[onnx.NodeProto], list[onnx.NodeProto] | None]


def replace_nodes(graph: onnx.GraphProto, replace: Replace) -> int:
    """Put other nodes in the place of each for which `replace` has some; returns their number."""
    nodes: list[onnx.NodeProto] = []
    changed = 0
    for node in graph.node:
        others = replace(node)
        nodes += [node] if others is None else others
        changed += others is not None
    if changed:
        del graph.node[:]
        graph.node.extend(nodes)
        drop_unread(graph)
    return changed


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def real(node: onnx.NodeProto, name: str, default: float) -> float:
    """A float attribute of a node."""
    return next((float(item.f) for item in node.attribute if item.name == name), default)


def constant(graph: onnx.GraphProto, name: str) -> NDArray[np.generic] | None:
    """The value of an initializer or of a Constant node's output; None where it is computed."""
    for tensor in graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            return None if value is None else np.asarray(numpy_helper.to_array(value))
    return None


def reals(graph: onnx.GraphProto, name: str) -> NDArray[np.float32] | None:
    """The value of a float32 constant; None for anything else."""
    value = constant(graph, name)
    return value.astype(np.float32) if value is not None and value.dtype == np.float32 else None


def scalar(graph: onnx.GraphProto, name: str) -> float | None:
    """The value of a float32 constant with one element; None for anything else."""
    value = reals(graph, name)
    return float(value.item()) if value is not None and value.size == 1 else None


def rank(graph: onnx.GraphProto, name: str) -> int | None:
    """Number of axes of a tensor; None where the graph does not say."""
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.name == name and value.type.tensor_type.HasField("shape"):
            return len(value.type.tensor_type.shape.dim)
    return None


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each tensor."""
    return {name: node for node in graph.node for name in node.output if name}


def count_readers(graph: onnx.GraphProto) -> Counter[str]:
    """How often each tensor is read, also within If and Loop; an output of the graph is read."""
    counts = Counter(
        name for part in with_bodies(graph) for node in part.node for name in node.input
    )
    counts.update(output.name for part in with_bodies(graph) for output in part.output)
    return counts


def with_bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies of its If and Loop nodes."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            for body in (item.g, *item.graphs):
                if body.node:
                    yield from with_bodies(body)


def free_name(graph: onnx.GraphProto, name: str) -> str:
    """`name`, lengthened until no tensor is called so."""
    taken = {tensor.name for tensor in graph.initializer}
    taken |= {tensor for node in graph.node for tensor in (*node.input, *node.output)}
    while name in taken:
        name += "_"
    return name


def add_constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> str:
    """Store a value under a free name like `name`; returns that name."""
    free = free_name(graph, name)
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), free))
    return free


def part_name(node: onnx.NodeProto, operator: str) -> str:
    """The name of a node that does a part of what `node` did."""
    return f"{node.name or node.output[0]}.{operator}"


def bypass(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Take a node out whose first output is its first input.

    Returns:
        False where the graph's own input would have to become its output.
    """
    source, result = node.input[0], node.output[0]
    outputs = {output.name for output in graph.output}
    if result in outputs:
        maker = producers(graph).get(source)
        if maker is None or source in outputs:
            return False
        _rename(graph, source, result)
    else:
        _rename(graph, result, source)
    graph.node.remove(node)
    return True


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for part in with_bodies(graph):
        for node in part.node:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove constants that nothing reads, and what was said of tensors that are gone."""
    read = count_readers(graph)
    _keep(graph.initializer, lambda tensor: tensor.name in read)
    made = producers(graph)
    _keep(graph.value_info, lambda value: value.name in made)


def _keep(entries: Any, wanted: Callable[..., bool]) -> None:
    kept = [entry for entry in entries if wanted(entry)]
    if len(kept) < len(entries):
        del entries[:]
        entries.extend(kept)
