"""Why an operator is computed in float, in a phrase.

Source of what has an integer form: onnxruntime's qdq_selector_action_transformer.cc.
"""

from collections.abc import Sequence

from onnx import TensorProto

from compress_bench.graph.kinds import MOVES
from compress_export.proof.fused_graph import FusedGraph

# Computed in integers once fused, passed through as they are, or absorbed by a QuantizeLinear.
_INTEGER_FORMS = MOVES - {"Cast", "Identity"} | frozenset(
    {"Add", "ArgMax", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool"}
    | {"LeakyRelu", "MatMul", "MaxPool", "Mul", "ReduceMax", "ReduceMin", "Relu", "Resize"}
    | {"Sigmoid", "Softmax", "Where"}
)
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_UNFUSED = {
    "FusedConv": "Conv",
    "FusedGemm": "Gemm",
    "FusedMatMul": "MatMul",
    "BiasGelu": "Gelu",
    "FastGelu": "Gelu",
    "QuickGelu": "Gelu",
    "SkipLayerNormalization": "LayerNormalization",
}
_INSTEAD = {
    "ReduceMean": "onnxruntime has no integer ReduceMean; GlobalAveragePool has one",
    "HardSwish": "onnxruntime has no integer HardSwish; x * Clip(x / 6 + 1/2, 0, 1) has one",
    "LayerNormalization": "onnxruntime has no integer LayerNormalization: its mean and spread "
    "are computed anew for each image",
    "InstanceNormalization": "onnxruntime has no integer InstanceNormalization: its mean and "
    "spread are computed anew for each image",
    "Shape": "only its shape is read, and onnxruntime makes the whole tensor float for it",
    "BatchNormalization": "it was not folded into a convolution before it",
}
_SIGNED = (TensorProto.INT8, TensorProto.INT16)


def plain_type(operator: str) -> str:
    """The operator that a fused one was made from."""
    return _UNFUSED.get(operator, operator)


def has_integer_form(operator: str) -> bool:
    """Whether onnxruntime's CPU provider can compute it in integers, or pass integers through."""
    return plain_type(operator) in _INTEGER_FORMS


def explain(fused: FusedGraph, index: int) -> str:
    """Why the node at `index` of the optimised graph is computed in float."""
    operator = plain_type(fused.nodes[index].op_type)
    if operator not in _INTEGER_FORMS:
        return _INSTEAD.get(operator, f"onnxruntime has no integer {operator}")
    found = (
        _weights(fused, index)
        or _input(fused, index)
        or _output(fused, index)
        or _signed(fused, index)
    )
    return found or f"onnxruntime did not join this {operator} with the steps around it"


def _weights(fused: FusedGraph, index: int) -> str:
    """What keeps weights out of integers: computed ones, or float ones."""
    node = fused.nodes[index]
    operator, origin = plain_type(node.op_type), fused.origin(node)
    if operator not in _WEIGHTED or origin is None or len(origin.input) < 2:
        return ""
    maker = fused.source_makers.get(origin.input[1])
    if origin.input[1] in fused.source_constants:
        return "its weights are float in the file"
    if maker is not None and maker.op_type == "DequantizeLinear":
        quantised = maker.input[0] in fused.source_constants
    else:
        quantised = False
    if operator == "Conv" and not quantised:
        return "its weights are computed, not constant"
    return ""


def _input(fused: FusedGraph, index: int) -> str:
    """What comes to it in float, other than from integers."""
    for before in fused.before(index):
        if before.op_type != "DequantizeLinear":
            return f"its input stays float, from {plain_type(before.op_type)} before it"
    inputs = {value.name for value in fused.graph.input}
    if any(name in inputs and name in fused.floats for name in fused.nodes[index].input):
        return "it reads the network's float input, which is not quantised"
    return ""


def _output(fused: FusedGraph, index: int) -> str:
    """What takes its result in float."""
    for after in fused.after(index):
        if after.op_type != "QuantizeLinear":
            return f"its output goes on in float, to {plain_type(after.op_type)}"
    outputs = {value.name for value in fused.graph.output}
    if any(name in outputs for name in fused.nodes[index].output):
        return "its output is the network's, which is not quantised"
    return ""


def _signed(fused: FusedGraph, index: int) -> str:
    """Activations of the type that onnxruntime seldom fuses on x86."""
    borders = [*fused.before(index), *fused.after(index)]
    if any(_zero_point_type(fused, node.input) in _SIGNED for node in borders):
        return "activations around it are int8: onnxruntime's x86 kernels want uint8"
    return ""


def _zero_point_type(fused: FusedGraph, names: Sequence[str]) -> int:
    wanted = names[2] if len(names) > 2 else ""
    return next((t.data_type for t in fused.graph.initializer if t.name == wanted), 0)
