"""The step of a file's output: the scale of the quantiser that its values come from last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.errors import ArtifactError
from compress_bench.graph.kinds import BORDERS, INTEGER_TO_FLOAT, MOVES
from compress_bench.graph.onnx_wire import Graph, Node, read_graph

# They choose among values, or change none.
_CHOOSING = MOVES | {"ArgMax", "GatherElements", "ReduceMax"}
_QUANTISING = INTEGER_TO_FLOAT | {"QuantizeLinear", "DynamicQuantizeLinear"}
_QUANTISING |= {"ConvInteger", "MatMulInteger"}


@dataclass(frozen=True)
class OutputStep:
    """How fine one output of a file is.

    Attributes:
        step: the distance of neighbouring values; None where no quantiser decides it.
        softmax: whether the values of that step have gone through a softmax since.
        quantised: whether anything in the file is computed from quantised activations.
        half: whether it holds float16.
    """

    step: float | None
    softmax: bool
    quantised: bool
    half: bool = False


def output_step(path: Path, output: str | None = None) -> OutputStep:
    """Go back from an output to the quantiser that it comes from.

    Args:
        path: ONNX file; of another format nothing is known.
        output: its name; the last one if None, which of label and score is the score.
    """
    try:
        graph = read_graph(path)
    except ArtifactError:  # a format of onnxruntime's own, which it can open
        return OutputStep(None, False, False)
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    quantised = any(
        node.operator in _QUANTISING or node.operator.startswith("QLinear") for node in graph.nodes
    )
    half = any(tensor.type == "float16" for tensor in graph.tensors)
    last = output or (graph.outputs[-1] if graph.outputs else "")
    node, softmax = _skip_choosing(last, made_by)
    if node is None or node.operator != "DequantizeLinear":
        return OutputStep(None, softmax, quantised, half)
    return OutputStep(_scale(node, graph), softmax, quantised, half)


def _skip_choosing(name: str, made_by: Mapping[str, Node]) -> tuple[Node | None, bool]:
    """What made a tensor's values, and whether they went through a softmax since."""
    softmax = False
    for _ in range(len(made_by)):
        node = made_by.get(name)
        if node is None or node.operator in BORDERS or not node.inputs:
            return node, softmax
        softmax |= node.operator == "Softmax"
        if node.operator not in _CHOOSING | {"Softmax"}:
            return node, softmax
        name = node.inputs[0]
    return None, softmax


def _scale(node: Node, graph: Graph) -> float | None:
    """The one scale of a node that dequantises; None where each channel has its own."""
    (_, name, *_) = node.inputs
    found = (tensor.scalar for tensor in graph.tensors if tensor.name == name)
    return next(found, None)
