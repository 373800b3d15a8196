"""How many weights a file of unknown origin holds.

Counted are constants with at least one axis: in float, or in integers that are quantised weights
and biases. Left out are what quantisation adds (scales and zero points), running means and
variances of BatchNormalization, shapes and indices (int64), and single numbers. An exporter may
have folded weights away (of BatchNormalization at least) or computed tables from them, so the
network in torch can have some more or fewer.
"""

from pathlib import Path

from compress_bench.graph.onnx_wire import Graph, Tensor, read_graph

# Inputs that are no weights: scales and zero points, or statistics.
_LEFT_OUT = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3),
    "BatchNormalization": (3, 4),
}
_WEIGHTS = ("float", "double", "float16", "bfloat16", "int8", "uint8", "int4", "uint4", "int16")
_BIASES = ("int32",)  # where an operator of quantised values reads them; else they are indices


def count_parameters(path: Path) -> int | None:
    """Learned values of a file, as far as its bytes tell; None where it holds none.

    Raises:
        ArtifactError: the file is cut off, or not ONNX.
    """
    return count_weights(read_graph(path)) or None


def count_weights(graph: Graph) -> int:
    """Elements of the weights and biases that a graph's operators read."""
    weights, quantised = set(), set()
    for node in graph.nodes:
        left_out = _LEFT_OUT.get(node.operator, ())
        read = {name for i, name in enumerate(node.inputs) if i not in left_out}
        weights |= read
        quantised |= read if left_out else set()
    named = {tensor.name: tensor for tensor in graph.tensors}
    return sum(
        tensor.elements for tensor in named.values() if _is_weight(tensor, weights, quantised)
    )


def _is_weight(tensor: Tensor, weights: set[str], quantised: set[str]) -> bool:
    if not tensor.dims:
        return False
    if tensor.type in _BIASES:
        return tensor.name in quantised
    return tensor.type in _WEIGHTS and tensor.name in weights
