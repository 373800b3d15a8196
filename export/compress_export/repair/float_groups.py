"""Parts of a network that can be left in float, and the multiply-adds that each would take there.

A layer alone: its weights are then as trained, but what it reads and gives goes through integers
still. And all that reads or makes one tensor, so that the tensor itself is never rounded.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from compress_export.naming import module_of
from compress_export.quantizers.kept_float import kept_float
from compress_export.quantizers.sharing import range_owners
from compress_export.quantizers.static_qdq import OPERATORS
from compress_export.rewrites import _graph

_LAYERS = ("Conv", "Gemm", "MatMul")
_MOST_LAYERS = 4  # that one tensor may draw along; a dense block's is read by dozens


@dataclass(frozen=True, kw_only=True)
class Group:
    """Nodes that are left in float together.

    Attributes:
        nodes: their names, in the order of the graph.
        layers: of these, convolutions and products.
        macs: multiply-adds of the layers for one image; 0 where shapes are not known.
    """

    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    macs: int

    def title(self) -> str:
        """The torch modules of its layers, or of its nodes where it has none."""
        named = self.layers or self.nodes
        return ", ".join(dict.fromkeys(module_of(name) or name for name in named))


def find_groups(model: onnx.ModelProto, floats: Collection[str] = ()) -> tuple[Group, ...]:
    """All groups of a float32 graph, less the nodes that are left in float already."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    left = {*floats, *kept_float(model)}
    nodes = [n for n in graph.node if n.op_type in OPERATORS and n.name and n.name not in left]
    found: dict[tuple[str, ...], Group] = {}
    for members in (*_alone(nodes), *_by_tensor(graph, nodes)):
        names = tuple(node.name for node in members)
        layers = tuple(node.name for node in members if node.op_type in _LAYERS)
        if len(layers) <= _MOST_LAYERS:
            macs = sum(_macs(graph, node) for node in members)
            found.setdefault(names, Group(nodes=names, layers=layers, macs=macs))
    return tuple(found.values())


def _alone(nodes: list[onnx.NodeProto]) -> Iterator[list[onnx.NodeProto]]:
    return ([node] for node in nodes if node.op_type in _LAYERS)


def _by_tensor(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto]
) -> Iterator[list[onnx.NodeProto]]:
    """What touches a tensor, or one that shares its range."""
    owners = range_owners(graph)
    constants = {tensor.name for tensor in graph.initializer}
    touching: dict[str, dict[str, onnx.NodeProto]] = {}
    for node in nodes:
        for name in (*node.input, *node.output):
            if name and name not in constants:
                touching.setdefault(owners.get(name, name), {})[node.name] = node
    return (list(members.values()) for members in touching.values())


def _macs(graph: onnx.GraphProto, node: onnx.NodeProto) -> int:
    """A weight is multiplied once for each position of the output; 0 where that is not known."""
    weight = _graph.constant(graph, node.input[1]) if node.op_type in _LAYERS else None
    if weight is None:
        return 0
    sizes = next(
        (
            [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.output)
            if value.name == node.output[0]
        ),
        [],
    )
    positions = sizes[2:] if node.op_type == "Conv" else sizes[1:-1]
    return int(weight.size * np.prod(positions, dtype=np.int64))
