"""onnxruntime's optimised graph beside the file it was made from: who makes and reads which tensor.

Nodes keep their names at the level where integers are fused; those that onnxruntime makes anew
are traced to the file by the tensor that they write, then by those that they read.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

import onnx
from onnx import TensorProto

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_COPIED = re.compile(r"_token_\d+$")  # onnxruntime's suffix of a name that was taken
_BLOCKED = "_nchwc"  # its suffix of an operator named after the tensor that it writes


class FusedGraph:
    """Questions about an optimised graph.

    Attributes:
        graph: as onnxruntime optimised it.
        source: as the file has it.
    """

    def __init__(self, graph: onnx.GraphProto, source: onnx.GraphProto) -> None:
        """Keep both; nothing is copied."""
        self.graph = graph
        self.source = source

    @cached_property
    def nodes(self) -> tuple[onnx.NodeProto, ...]:
        """In topological order."""
        return tuple(self.graph.node)

    @cached_property
    def floats(self) -> frozenset[str]:
        """Names of the activations that are float; one without a type is as what it is made of."""
        constants = {tensor.name for tensor in self.graph.initializer}
        values = (*self.graph.value_info, *self.graph.input, *self.graph.output)
        types = {value.name: value.type.tensor_type.elem_type for value in values}
        found = {name for name, kind in types.items() if kind in _FLOATS} - constants
        for node in self.nodes:
            if node.op_type == "DequantizeLinear" or found.intersection(node.input):
                quantises = node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear")
                found.update(n for n in node.output if n and not quantises and n not in types)
        return frozenset(found)

    @cached_property
    def makers(self) -> dict[str, int]:
        """Tensor -> index of the node that writes it."""
        return {name: i for i, node in enumerate(self.nodes) for name in node.output if name}

    @cached_property
    def readers(self) -> dict[str, list[int]]:
        """Tensor -> indices of the nodes that read it."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(self.nodes):
            for name in node.input:
                found[name].append(index)
        return dict(found)

    def before(self, index: int) -> Iterator[onnx.NodeProto]:
        """The nodes whose float tensors a node reads."""
        for name in self.nodes[index].input:
            if name in self.floats and name in self.makers:
                yield self.nodes[self.makers[name]]

    def after(self, index: int) -> Iterator[onnx.NodeProto]:
        """The nodes that read a node's float tensors."""
        for name in self.nodes[index].output:
            if name in self.floats:
                yield from (self.nodes[i] for i in self.readers.get(name, ()))

    def float_groups(self) -> Iterator[list[int]]:
        """Nodes connected by float tensors, each group in topological order."""
        group_of: dict[int, set[int]] = {}
        for name in sorted(self.floats):
            made = [self.makers[name]] if name in self.makers else []
            ends = [*self.readers.get(name, ()), *made]
            joined = set(ends).union(*(group_of.get(end, set()) for end in ends))
            for index in joined:
                group_of[index] = joined
        seen: set[int] = set()
        for index in sorted(group_of):
            if index not in seen:
                seen |= group_of[index]
                yield sorted(group_of[index])

    @cached_property
    def _source_names(self) -> dict[str, onnx.NodeProto]:
        return {node.name: node for node in self.source.node if node.name}

    @cached_property
    def source_makers(self) -> dict[str, onnx.NodeProto]:
        """Tensor of the file -> the node that writes it there."""
        return {name: node for node in self.source.node for name in node.output if name}

    @cached_property
    def _source_readers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.source.node for name in node.input if name}

    @cached_property
    def source_constants(self) -> frozenset[str]:
        """Initializers of the file, and what its Constant nodes hold."""
        written = {n.output[0] for n in self.source.node if n.op_type == "Constant"}
        return frozenset(written | {tensor.name for tensor in self.source.initializer})

    def origin(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The file's node that a node was made from; None where nothing points to one."""
        for name in (node.name, _COPIED.sub("", node.name)):
            if name in self._source_names:
                return self._source_names[name]
        for names, nodes in (
            (node.output, self.source_makers),
            (node.input, self._source_readers),
        ):
            for name in names:
                if name in nodes:
                    return nodes[name]
        return None

    def module(self, node: onnx.NodeProto) -> str:
        """The torch module of a node named `<module>/<operator>`; else the node's own name."""
        origin = self.origin(node)
        name = (origin.name if origin is not None else "") or node.name
        name = str(name or node.output[0])
        return name.rpartition("/")[0] or name

    def profiled_names(self, node: onnx.NodeProto) -> Sequence[str]:
        """What the same operator may be called in the graph that runs, most likely first."""
        bare = _COPIED.sub("", node.name)
        return (node.name, bare, *(output + _BLOCKED for output in node.output))


def bare_name(name: str) -> str:
    """A profiled name without the suffix that tells copies apart."""
    return _COPIED.sub("", name)
