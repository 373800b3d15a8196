"""Which operators onnxruntime really computes in integers, read from its optimised graph."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime as ort

from compress_export.session import open_session, session_options

# Fusion to integer operators is done at this level; the next one only changes the layout, and
# ties the graph to this machine.
_FUSED = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED

_INTEGER_CONVOLUTIONS = ("QLinearConv", "ConvInteger")
_FLOAT_CONVOLUTIONS = ("Conv", "FusedConv")
_INTEGER_PRODUCTS = ("QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat")
_FLOAT_PRODUCTS = ("Gemm", "MatMul", "FusedGemm", "FusedMatMul")
_MOVES = ("Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")


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
        float_operators: what else is computed in float, by operator type.
    """

    integer_convolutions: int
    convolutions: int
    integer_products: int
    products: int
    quantize_nodes: int
    dequantize_nodes: int
    float_operators: dict[str, int]


def take_census(path: Path) -> Census:
    """Let onnxruntime fuse a quantised file and count what became of it."""
    with TemporaryDirectory(prefix="compress-census-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = session_options(1, _FUSED)
        options.optimized_model_filepath = str(optimised)
        open_session(path, options, subject=path.name)
        graph = onnx.load(optimised).graph
    return _count(Counter(node.op_type for node in graph.node), _float_operators(graph))


def _count(types: Counter[str], float_operators: dict[str, int]) -> Census:
    def total(names: tuple[str, ...]) -> int:
        return sum(types[name] for name in names)

    return Census(
        integer_convolutions=total(_INTEGER_CONVOLUTIONS),
        convolutions=total(_INTEGER_CONVOLUTIONS + _FLOAT_CONVOLUTIONS),
        integer_products=total(_INTEGER_PRODUCTS),
        products=total(_INTEGER_PRODUCTS + _FLOAT_PRODUCTS),
        quantize_nodes=types["QuantizeLinear"],
        dequantize_nodes=types["DequantizeLinear"],
        float_operators=float_operators,
    )


def _float_operators(graph: onnx.GraphProto) -> dict[str, int]:
    """Operators that read what a DequantizeLinear made, and so compute in float."""
    dequantised = {
        name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output
    }
    counts: Counter[str] = Counter()
    for node in graph.node:  # in topological order
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if any(name in dequantised for name in node.input):
            dequantised.update(node.output)
            if node.op_type not in _MOVES:
                counts[node.op_type] += 1
    return dict(sorted(counts.items()))
