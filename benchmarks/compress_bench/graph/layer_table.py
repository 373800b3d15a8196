"""A profile as people read it: a row per torch module, and the float islands with their cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from compress_bench.graph.float_islands import find_groups
from compress_bench.graph.kinds import BORDERS, Kind, kind_of
from compress_bench.graph.layers import Profiled
from compress_bench.graph.macs import Macs
from compress_bench.graph.modules import Places, fallback
from compress_bench.graph.profiled import MICROSECOND, ProfiledNode, middle_mean


@dataclass(frozen=True)
class Row:
    """One module's work of one kind.

    Attributes:
        module: torch module; a foreign file's own name, or an operator's type.
        operators: types that ran.
        kind: in integers, in float, between both, or moving values only.
        seconds: per inference, the mean of the runs' middle half.
        low: its lower bound at 95 % over the runs of one process; None with fewer than four.
        high: its upper bound, with the microsecond of each operator that the profile cuts off.
        share: of the time of all operators.
        macs: multiply-adds of one image; None where they could not be counted.
    """

    module: str
    operators: tuple[str, ...]
    kind: Kind
    seconds: float
    low: float | None
    high: float | None
    share: float
    macs: int | None


@dataclass(frozen=True)
class Island:
    """Float work inside integers, with the steps at its borders.

    Attributes:
        module: of the operator that takes most of it.
        operators: types, borders left out where there are others.
        seconds: per inference, borders included.
        share: of the time of all operators.
    """

    module: str
    operators: tuple[str, ...]
    seconds: float
    share: float


@dataclass(frozen=True)
class LayerTable:
    """Where one inference's time goes.

    Attributes:
        runs: inferences that were timed.
        seconds: of all operators, per inference.
        rows: in the order of execution.
        islands: the costliest first.
    """

    runs: int
    seconds: float
    rows: tuple[Row, ...]
    islands: tuple[Island, ...]


def lay_out(profiled: Profiled) -> LayerTable:
    """Group a profile by module and kind, and find its float islands."""
    nodes, places = profiled.nodes, Places(profiled.graph)
    origins = places.origins(nodes)
    modules = [
        fallback(node) if origin is None else places.module(origin)
        for node, origin in zip(nodes, origins, strict=True)
    ]
    total = _spent(nodes, range(len(nodes)))
    whole = middle_mean(total).value * MICROSECOND
    groups: dict[tuple[str, Kind], list[int]] = {}
    for index, node in enumerate(nodes):
        groups.setdefault((modules[index], kind_of(node)), []).append(index)
    rows = [_row(profiled, key, group, whole) for key, group in groups.items()]
    islands = [
        _island(nodes, modules, group, whole) for group in find_groups(nodes, origins, places)
    ]
    return LayerTable(
        runs=profiled.runs,
        seconds=whole,
        rows=tuple(_with_macs(rows, profiled.macs, places)),
        islands=tuple(sorted(islands, key=lambda island: -island.seconds)),
    )


def _spent(nodes: Sequence[ProfiledNode], group: Sequence[int]) -> NDArray[np.float64]:
    """Microseconds of a group of nodes: [runs]."""
    spent = np.array([nodes[i].microseconds for i in group], dtype=np.float64)
    return np.asarray(spent.sum(axis=0))


def _row(profiled: Profiled, key: tuple[str, Kind], group: Sequence[int], whole: float) -> Row:
    nodes = [profiled.nodes[i] for i in group]
    found = middle_mean(_spent(profiled.nodes, group))
    cut_off = sum(node.executions for node in nodes)  # the profile counts whole microseconds
    bounded = isfinite(found.low)
    return Row(
        module=key[0],
        operators=tuple(dict.fromkeys(node.operator for node in nodes)),
        kind=key[1],
        seconds=found.value * MICROSECOND,
        low=max(0.0, found.low * MICROSECOND) if bounded else None,
        high=(found.high + cut_off) * MICROSECOND if bounded else None,
        share=_share(found.value * MICROSECOND, whole),
        macs=None,
    )


def _with_macs(rows: Sequence[Row], macs: Macs, places: Places) -> list[Row]:
    """Each module's multiply-adds, at its row that takes longest of those that compute."""
    named = {node.name: places.module(node) for node in places.graph.nodes}
    counts: Counter[str] = Counter()
    for name, count in macs.by_node.items():
        counts[named.get(name, name)] += count
    computing = [row for row in rows if row.kind in ("integer", "float")]
    costliest = {row.module: row for row in sorted(computing, key=lambda row: row.seconds)}
    rest = None if macs.total is None else 0
    return [
        replace(
            row, macs=(counts[row.module] or rest) if costliest.get(row.module) is row else rest
        )
        for row in rows
    ]


def _island(
    nodes: Sequence[ProfiledNode], modules: Sequence[str], group: Sequence[int], whole: float
) -> Island:
    computing = [i for i in group if nodes[i].operator not in BORDERS] or list(group)
    costliest = max(computing, key=lambda i: (kind_of(nodes[i]) == "float", nodes[i].seconds))
    seconds = middle_mean(_spent(nodes, group)).value * MICROSECOND
    operators = tuple(dict.fromkeys(nodes[i].operator for i in computing))
    return Island(modules[costliest], operators, seconds, _share(seconds, whole))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
