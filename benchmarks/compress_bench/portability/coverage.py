"""How much of a network a machine computes in integers, from the profile of the graph that ran.

Python 3.8 and the standard library alone: the packed file counts on a board with it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from compress_bench.graph.kinds import INTEGER_TO_FLOAT, kind_of

if TYPE_CHECKING:
    from compress_bench.graph.profiled import ProfiledNode

_CONVOLUTIONS = ("Conv", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger")
_FLOAT_PRODUCTS = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "MatMulNBits")
_PRODUCTS = (*_FLOAT_PRODUCTS, "QLinearMatMul", "MatMulInteger", *INTEGER_TO_FLOAT)

Coverage = Dict[str, Any]


def count_coverage(nodes: Sequence[ProfiledNode]) -> Coverage:
    """Operators by what they compute in.

    Args:
        nodes: of one profile.

    Returns:
        integer, float, boundary: how many operators compute in integers, in float, or go between;
        convolutions, products: [in integers, all]; float_operators: types and how many.
    """
    kinds = [(node.operator, kind_of(node)) for node in nodes]
    counts = Counter(kind for _, kind in kinds)
    afloat = Counter(operator for operator, kind in kinds if kind == "float")

    def whole(operators: Sequence[str]) -> List[int]:
        found = [kind for operator, kind in kinds if operator in operators]
        return [found.count("integer"), len(found)]

    return {
        "integer": counts["integer"],
        "float": counts["float"],
        "boundary": counts["boundary"],
        "convolutions": whole(_CONVOLUTIONS),
        "products": whole(_PRODUCTS),
        "float_operators": dict(sorted(afloat.items())),
    }


def less_in_integers(found: Coverage, reference: Coverage) -> List[str]:
    """What one machine computes in float that another computes in integers, a sentence each."""
    names = {"convolutions": "convolutions", "products": "matrix products"}
    return [
        f"{found[kind][0]} of {found[kind][1]} {name} are computed in integers, "
        f"{reference[kind][0]} of {reference[kind][1]} where the reference was made; the others "
        "are as slow as float there"
        for kind, name in names.items()
        if found[kind][0] < reference[kind][0]
    ]
