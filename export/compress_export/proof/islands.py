"""Float islands: the operators between a DequantizeLinear and the next QuantizeLinear.

Each is named with its torch module, why it is there, and what it costs with the two steps at its
borders. What turns the picture into the first integers, and the last integers into the answer,
are the ends of a network, not islands.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from compress_bench.graph.float_islands import HEAD, TAIL
from compress_bench.graph.kinds import INTEGER_TO_FLOAT, MOVES
from compress_bench.graph.profiled import ProfiledNode
from compress_export.proof.fused_graph import FusedGraph, bare_name
from compress_export.proof.reasons import explain, has_integer_form, plain_type


@dataclass(frozen=True)
class Island:
    """A float operator, or several that are connected by float tensors.

    Attributes:
        module: torch module of the operator that keeps it float; a foreign file's node name.
        operator: that operator's type.
        reason: why it is computed in float, in a phrase.
        modules: of all its operators.
        operators: how many of each type, its borders left out.
        seconds: per inference, borders included; None where it was not measured.
        share: of the time of all operators, a fraction; None likewise.
    """

    module: str
    operator: str
    reason: str
    modules: tuple[str, ...]
    operators: Mapping[str, int]
    seconds: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Costs:
    """A profile, as far as it can be told which node of the optimised graph it speaks of.

    Attributes:
        seconds: per inference, by index of the node.
        total: of all operators that ran.
        unmatched: seconds by operator type of those that only the graph that runs has, such as
            changes of layout.
    """

    seconds: Mapping[int, float]
    total: float
    unmatched: Mapping[str, float]


def match_costs(fused: FusedGraph, layers: Mapping[str, ProfiledNode]) -> Costs:
    """Find the nodes of the optimised graph in a profile of the graph that runs.

    The latter has another layout, in which operators bear other names, known suffixes apart.
    """
    left = dict(layers)
    found: dict[int, float] = {}
    for match in (_by_name, _by_bare_name, _by_number):  # the surest first
        for index, node in enumerate(fused.nodes):
            name = None if index in found else match(fused, node, left)
            if name is not None:
                found[index] = left.pop(name).seconds
    unmatched: dict[str, float] = {}
    for layer in left.values():
        unmatched[layer.operator] = unmatched.get(layer.operator, 0.0) + layer.seconds
    return Costs(found, sum(layer.seconds for layer in layers.values()), unmatched)


def _by_name(
    fused: FusedGraph, node: onnx.NodeProto, left: Mapping[str, ProfiledNode]
) -> str | None:
    return next((name for name in fused.profiled_names(node) if name in left), None)


def _by_bare_name(
    fused: FusedGraph, node: onnx.NodeProto, left: Mapping[str, ProfiledNode]
) -> str | None:
    """Copies that differ by their number only."""
    wanted = bare_name(node.name)
    return next((name for name in left if wanted and bare_name(name) == wanted), None)


def _by_number(
    fused: FusedGraph, node: onnx.NodeProto, left: Mapping[str, ProfiledNode]
) -> str | None:
    """Nodes without a name, which onnxruntime numbers by another order in each graph."""
    numbered = re.compile(rf"{node.op_type}_\d+")
    return next((name for name in left if not node.name and numbered.fullmatch(name)), None)


def find_islands(fused: FusedGraph, costs: Costs | None = None) -> tuple[Island, ...]:
    """All islands, the costliest first; in the order of the graph where nothing was measured.

    Args:
        fused: the optimised graph beside its file.
        costs: measured times.
    """
    groups = (group for group in fused.float_groups() if not _is_end(fused, group))
    islands = [_describe(fused, group, costs) for group in groups]
    return tuple(sorted(islands, key=lambda island: -(island.seconds or 0.0)))


def _leads_in(node: onnx.NodeProto) -> bool:
    """Whether a node makes integers of floats."""
    return node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear")


def _leads_out(node: onnx.NodeProto) -> bool:
    """Whether a node makes floats of integers; products can do so by themselves."""
    return node.op_type == "DequantizeLinear" or node.op_type in INTEGER_TO_FLOAT


def _operators(fused: FusedGraph, group: list[int]) -> list[int]:
    """The nodes of a group that compute in float: its borders are left out."""
    return [i for i in group if not (_leads_in(fused.nodes[i]) or _leads_out(fused.nodes[i]))]


def _is_end(fused: FusedGraph, group: list[int]) -> bool:
    """Whether a group only leads from the input to integers, or from them to the output."""
    nodes = [fused.nodes[i] for i in group]
    types = {plain_type(fused.nodes[i].op_type) for i in _operators(fused, group)}
    leads_in, leads_out = any(map(_leads_in, nodes)), any(map(_leads_out, nodes))
    if leads_in and leads_out:
        return False
    return (leads_in and types <= HEAD) or (leads_out and types <= TAIL)


def _describe(fused: FusedGraph, group: list[int], costs: Costs | None) -> Island:
    operators = _operators(fused, group)
    if len(operators) == len(group):
        culprit = operators[0]
        reason = "nothing around it is quantised"
    elif operators:
        culprit = _culprit(fused, operators)
        reason = explain(fused, culprit)
    else:  # written with one scale, read with another
        culprit = next(i for i in group if _leads_in(fused.nodes[i]))
        reason = "it is written with one scale and read with another"
    seconds = None if costs is None else sum(costs.seconds.get(i, 0.0) for i in group)
    shown = operators or [culprit]
    return Island(
        module=fused.module(fused.nodes[culprit]),
        operator=plain_type(fused.nodes[culprit].op_type),
        reason=reason,
        modules=tuple(dict.fromkeys(fused.module(fused.nodes[i]) for i in shown)),
        operators=dict(sorted(Counter(fused.nodes[i].op_type for i in operators).items())),
        seconds=seconds,
        share=None if seconds is None or costs is None else _share(seconds, costs.total),
    )


def _culprit(fused: FusedGraph, operators: list[int]) -> int:
    """The first operator that has no integer form; else the first that computes."""
    types = [(index, plain_type(fused.nodes[index].op_type)) for index in operators]
    without = [index for index, operator in types if not has_integer_form(operator)]
    computing = [index for index, operator in types if operator not in MOVES]
    return (without or computing or operators)[0]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
