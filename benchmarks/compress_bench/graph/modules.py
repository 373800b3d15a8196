"""Which torch module an operator of the graph that runs belongs to.

onnxruntime decorates the names of what it fuses, copies or lays out anew; without the decoration
they are names of the file's operators, or of the tensors that those write.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from compress_bench.graph.kinds import BORDERS, LAYOUT, MOVES
from compress_bench.graph.onnx_wire import Graph, Node
from compress_bench.graph.profiled import ProfiledNode

ROOT = "(root)"  # the network itself: a step written in its own forward

_DECORATION = re.compile(r"^fused |_token_\d+$|_nchwc$|_quant$|/\w*Fusion/?$")
_BORDER = re.compile(r"_(dq|q|QuantizeLinear|DequantizeLinear)(_\d+)?$")
_NUMBERED = re.compile(r"_\d+$")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
_FAR = 4  # steps from what a fused operator writes back to what it is called after


class Places:
    """The file's operators, asked where those of the graph that runs come from.

    Attributes:
        graph: the file's.
    """

    def __init__(self, graph: Graph) -> None:
        """Keep the graph; nothing is copied."""
        self.graph = graph

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """Tensor -> the operator that writes it."""
        return {name: node for node in self.graph.nodes for name in node.outputs if name}

    @cached_property
    def readers(self) -> Mapping[str, Node]:
        """Tensor -> the first operator that reads it."""
        found: dict[str, Node] = {}
        for node in self.graph.nodes:
            for name in node.inputs:
                found.setdefault(name, node)
        return found

    @cached_property
    def constants(self) -> frozenset[str]:
        """Names of tensors that the file holds."""
        return frozenset(tensor.name for tensor in self.graph.tensors)

    @cached_property
    def _named(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.graph.nodes if node.name and node.outputs}

    def origins(self, nodes: Sequence[ProfiledNode]) -> list[Node | None]:
        """The file's operator that each was made from, the surest found first; None: unknown."""
        found = [self._direct(node) for node in nodes]
        taken = {node.outputs[0] for node in found if node is not None}
        for index, node in enumerate(nodes):
            if found[index] is None:
                found[index] = origin = self._behind(node, taken)
                taken |= {origin.outputs[0]} if origin is not None else set()
        for index, node in enumerate(nodes):
            if index and found[index] is None and node.operator not in MOVES | LAYOUT:
                found[index] = self._after(found[index - 1], taken)
        return found

    def _direct(self, node: ProfiledNode) -> Node | None:
        for name in _names(node.name):
            if name in self._named:
                return self._named[name]
            made = self.makers.get(name)
            if made is not None and made.operator == plain_type(node.operator):
                return made
        return None

    def _behind(self, node: ProfiledNode, taken: set[str]) -> Node | None:
        """Named after the tensor that a later step wrote, which has been fused into it."""
        *_, bare = _names(node.name)
        last = self.makers.get(bare) or self.makers.get(_BORDER.sub("", bare))
        level = [last] if last is not None else []
        for _ in range(0 if node.operator in BORDERS else _FAR):
            for candidate in level:
                fits = candidate.operator == plain_type(node.operator)
                if fits and candidate.outputs[0] not in taken:
                    return candidate
            names = [name for candidate in level for name in candidate.inputs]
            level = [self.makers[name] for name in names if name in self.makers]
        return last

    def _after(self, before: Node | None, taken: set[str]) -> Node | None:
        """Of a step that onnxruntime took apart: what reads the result of the one before it."""
        read = self.readers.get(before.outputs[0]) if before is not None else None
        return before if read is None or read.outputs[0] in taken else read

    def module(self, node: Node) -> str:
        """The torch module of one of the file's operators; else its name, else its type."""
        if node.operator in BORDERS:
            return self._border_module(node)
        own = re.fullmatch(rf"([^/].*)/(\w+\.)?{node.operator}(:\d+)?", node.name)
        if own:
            return own[1]
        owner, _, parameter = self._weight(node).rpartition(".")
        if parameter == "weight" and owner:
            return owner  # with BatchNorm folded in, the exporter's note speaks of BatchNorm
        if node.module is not None:
            return node.module or ROOT
        if node.name.startswith("/"):
            return unscoped(node.name)
        return node.name or node.operator

    def _weight(self, node: Node) -> str:
        """The name of what it multiplies with, before it was quantised; empty for other steps."""
        if node.operator not in _WEIGHTED or len(node.inputs) < 2:
            return ""
        made = self.makers.get(node.inputs[1])
        name = made.inputs[0] if made and made.operator == "DequantizeLinear" else node.inputs[1]
        return name.removesuffix("_quantized")

    def _border_module(self, node: Node) -> str:
        """Of a step between float and integers: where its tensor is made, else where it is read."""
        first = node
        while (made := self.makers.get(first.inputs[0])) and made.operator in BORDERS:
            first = made
        if made is not None:
            return self.module(made)
        read = self.readers.get(node.outputs[0]) if first.inputs[0] in self.constants else None
        if read is not None and read.operator not in BORDERS:
            return self.module(read)
        return first.inputs[0]


def unscoped(name: str) -> str:
    """The module of a name as torch's old exporter gives: "/layer1/layer1.0/conv1/Conv".

    Each step names an attribute, or an entry of the list before it by the list's name too.
    """
    parts: list[str] = []
    before = ""
    for part in name.strip("/").split("/")[:-1]:
        if before and part.startswith(before + "."):
            parts[-1] = parts[-1].removesuffix(before) + part
        else:
            parts.append(part)
        before = part
    return ".".join(parts) or ROOT


def bare_name(name: str) -> str:
    """A name without onnxruntime's decoration."""
    *_, bare = _names(name)
    return bare


def _names(name: str) -> list[str]:
    """The name, and what is left of it as one decoration after the other is taken off."""
    found = [name]
    while (shorter := _DECORATION.sub("", found[-1])) != found[-1] and shorter:
        found.append(shorter)
    return found


def plain_type(operator: str) -> str:
    """The type in a file that a fused or quantised operator was made from."""
    for prefix in ("QLinear", "Fused", "Nhwc"):
        operator = operator.removeprefix(prefix)
    return {"QGemm": "Gemm"}.get(operator, operator)


def fallback(node: ProfiledNode) -> str:
    """What to call an operator that the file does not know: its name if that says anything."""
    bare = bare_name(node.name)
    return node.operator if _NUMBERED.sub("", bare) in ("", node.operator) else bare
