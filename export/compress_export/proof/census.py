"""Which operators onnxruntime really computes in integers, read from its optimised graph."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime as ort

from compress_bench.graph.kinds import MOVES
from compress_bench.graph.profiled import ProfiledNode
from compress_export.proof.fused_graph import FusedGraph
from compress_export.proof.islands import Island, find_islands, match_costs
from compress_export.session import open_session, session_options

# Fusion to integer operators is done at this level; the next one only changes the layout, and
# ties the graph to this machine.
_FUSED = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED

_INTEGER_CONVOLUTIONS = ("QLinearConv", "ConvInteger")
_FLOAT_CONVOLUTIONS = ("Conv", "FusedConv")
_INTEGER_PRODUCTS = ("QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat")
_NO_WORK = MOVES | {"Shape"}
_FLOAT_PRODUCTS = ("Gemm", "MatMul", "FusedGemm", "FusedMatMul")


@dataclass(frozen=True)
class Census:
    """How much of a network is computed in integers.

    Attributes:
        integer_convolutions: convolutions in integers.
        convolutions: all of them.
        integer_products: fully connected layers and matrix products in integers.
        products: all of them.
        quantize_nodes: steps from float to integer.
        dequantize_nodes: steps from integer to float.
        float_operators: what computes in float inside the network, by operator type.
        islands: the same, each with its module, reason and cost.
        operator_seconds: all operators of one inference; None where it was not measured.
        unmatched_seconds: those of them that are no node of the fused graph, by operator type.
    """

    integer_convolutions: int
    convolutions: int
    integer_products: int
    products: int
    quantize_nodes: int
    dequantize_nodes: int
    float_operators: Mapping[str, int]
    islands: tuple[Island, ...] = ()
    operator_seconds: float | None = None
    unmatched_seconds: Mapping[str, float] | None = None


def take_census(path: Path, layers: Mapping[str, ProfiledNode] | None = None) -> Census:
    """Let onnxruntime fuse a quantised file and look at what became of it.

    Args:
        path: the file.
        layers: what `layer_seconds` of `compress_bench.graph.layers` measured on it; None: islands
            have no cost.
    """
    fused = FusedGraph(_fuse(path), onnx.load(path, load_external_data=False).graph)
    costs = None if layers is None else match_costs(fused, layers)
    islands = find_islands(fused, costs)
    types = Counter(node.op_type for node in fused.nodes)

    def total(names: Iterable[str]) -> int:
        return sum(types[name] for name in names)

    return Census(
        integer_convolutions=total(_INTEGER_CONVOLUTIONS),
        convolutions=total(_INTEGER_CONVOLUTIONS + _FLOAT_CONVOLUTIONS),
        integer_products=total(_INTEGER_PRODUCTS),
        products=total(_INTEGER_PRODUCTS + _FLOAT_PRODUCTS),
        quantize_nodes=types["QuantizeLinear"],
        dequantize_nodes=types["DequantizeLinear"],
        float_operators=_count(islands),
        islands=islands,
        operator_seconds=None if costs is None else costs.total,
        unmatched_seconds=None if costs is None else costs.unmatched,
    )


def _fuse(path: Path) -> onnx.GraphProto:
    with TemporaryDirectory(prefix="compress-census-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = session_options(1, _FUSED)
        options.optimized_model_filepath = str(optimised)
        open_session(path, options, subject=path.name)
        return onnx.load(optimised).graph


def _count(islands: Iterable[Island]) -> dict[str, int]:
    """Operators that compute, by type; what only moves values or reads a shape is left out."""
    found: Counter[str] = Counter()
    for island in islands:
        found.update(island.operators)
    return {name: count for name, count in sorted(found.items()) if name not in _NO_WORK}
