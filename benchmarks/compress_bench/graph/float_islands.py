"""Float work inside a network that is otherwise computed in integers.

The operators that run are joined where the file joins them by a float tensor; one that the file
does not know goes with its neighbour in the order of execution. What turns the picture into the
first integers, and the last integers into the answer, are the ends of a network, not islands.
"""

from collections.abc import Iterable, Sequence

from compress_bench.graph.kinds import BORDERS, LAYOUT, MOVES, Kind, is_float, kind_of
from compress_bench.graph.modules import Places
from compress_bench.graph.onnx_wire import Node
from compress_bench.graph.profiled import ProfiledNode

# What may stand before the first integers: a camera's frame becomes the network's input.
HEAD = MOVES | LAYOUT | {"Add", "Div", "Mul", "Sub"}
# And after the last ones: the answer.
TAIL = (
    MOVES
    | LAYOUT
    | {"ArgMax", "GatherElements", "LogSoftmax", "ReduceMax", "Sigmoid", "Softmax", "TopK"}
)


def find_groups(
    nodes: Sequence[ProfiledNode], origins: Sequence[Node | None], places: Places
) -> list[list[int]]:
    """Islands as indices of their nodes, with the steps at their borders; none in a float network.

    Args:
        nodes: in the order of execution.
        origins: the file's operator of each, as `Places.origins` finds it.
        places: of the file.
    """
    kinds = [kind_of(node) for node in nodes]
    if "integer" not in kinds:
        return []
    afloat = [i for i, kind in enumerate(kinds) if _is_afloat(nodes[i], kind)]
    known = frozenset(afloat)
    joined = _Joined()
    _join_fused(joined, origins, places)
    for index in afloat:
        joined.join([index, *_tensors(nodes[index], origins[index], places)])
        if origins[index] is None:
            beside = [near for near in (index - 1, index + 1) if near in known]
            joined.join([index, *beside[:1]])
    made = {name for i, kind in enumerate(kinds) if kind == "integer" for name in _made(origins[i])}
    from_integers = {joined.root(name) for name in made}
    groups = joined.groups(afloat)
    return [g for g in groups if not _is_end(g, nodes, joined.root(g[0]) in from_integers)]


def _is_afloat(node: ProfiledNode, kind: Kind) -> bool:
    """Whether floats go into it or out of it."""
    values = (*node.inputs[:1], *node.outputs)
    moves_floats = kind == "move" and any(is_float(value.type) for value in values)
    return kind in ("float", "boundary") or moves_floats


def _tensors(node: ProfiledNode, origin: Node | None, places: Places) -> list[str]:
    """The float tensors that it is joined by to others; constants join nothing."""
    if origin is None:
        return []
    if node.operator not in BORDERS:
        names = [*origin.inputs, *origin.outputs]
    elif origin.operator not in BORDERS:  # onnxruntime's own, named after what it reads
        names = list(origin.outputs)
    else:
        reads_floats = node.operator != "DequantizeLinear"
        names = list(origin.inputs[:1] if reads_floats else origin.outputs[:1])
    return [name for name in names if name and name not in places.constants]


def _join_fused(joined: "_Joined", origins: Sequence[Node | None], places: Places) -> None:
    """What runs within another operator joins what it reads with what it writes."""
    running = {id(origin) for origin in origins}
    for node in places.graph.nodes:
        if id(node) not in running and node.operator not in BORDERS:
            names = (name for name in (*node.inputs, *node.outputs) if name)
            joined.join([name for name in names if name not in places.constants])


def _made(origin: Node | None) -> tuple[str, ...]:
    return () if origin is None else origin.outputs


def _is_end(group: Sequence[int], nodes: Sequence[ProfiledNode], from_integers: bool) -> bool:
    """Whether a group only leads from the input to integers, or from them to the output."""
    types = {nodes[i].operator for i in group}
    into = bool(types & {"QuantizeLinear", "DynamicQuantizeLinear"})
    out_of = "DequantizeLinear" in types or from_integers
    if into and out_of:
        return False
    computing = types - BORDERS
    return (not out_of and computing <= HEAD) or (not into and computing <= TAIL)


class _Joined:
    """Which tensors and operators are connected."""

    def __init__(self) -> None:
        self._above: dict[str | int, str | int] = {}

    def root(self, item: str | int) -> str | int:
        """The one that stands for all that an item is connected with."""
        while (above := self._above.get(item, item)) != item:
            self._above[item] = self._above.get(above, above)
            item = above
        return item

    def join(self, items: Iterable[str | int]) -> None:
        """Connect them all."""
        roots = [self.root(item) for item in items]
        self._above.update(dict.fromkeys(roots[1:], roots[0]) if roots else {})

    def groups(self, items: Iterable[int]) -> list[list[int]]:
        """Those that are connected, together, in their order."""
        found: dict[str | int, list[int]] = {}
        for item in items:
            found.setdefault(self.root(item), []).append(item)
        return list(found.values())
