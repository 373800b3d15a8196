"""Which activations have a range of their own, and which take another one's.

onnxruntime's writer gives what only moves values (MaxPool, Reshape, ...) the scale of its input,
and lets a Relu or Clip vanish into the quantisation of its output, whose range then is that of the
layer before it too. Half of the tensors of a network need not be watched for that reason.
"""

from collections.abc import Mapping

import onnx

from compress_export.calibration import Range, Ranges
from compress_export.quantizers.kept_float import vanishing_bounds

_MOVES = (
    "AveragePool",
    "Flatten",
    "Gather",
    "MaxPool",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


def range_owners(graph: onnx.GraphProto) -> dict[str, str]:
    """For each tensor that takes another one's range: that other tensor, which has its own."""
    readers: dict[str, int] = {}
    for name in [name for node in graph.node for name in node.input]:
        readers[name] = readers.get(name, 0) + 1
    constants = {tensor.name for tensor in graph.initializer}  # never watched: nothing's owner
    ends = {value.name for value in (*graph.input, *graph.output)}
    vanishing = vanishing_bounds(graph)
    direct: dict[str, str] = {}
    for node in graph.node:
        source = node.input[0] if node.input else ""
        if node.op_type in _MOVES and source not in constants:
            direct |= dict.fromkeys(node.output, source)
        elif node.output[0] in vanishing and readers[source] == 1 and source not in ends:
            direct[source] = node.output[0]
    return {name: _last(name, direct) for name in direct}


def _last(name: str, direct: Mapping[str, str]) -> str:
    """Follow the chain to its end; a Relu between two moves would send it back and forth."""
    seen = {name}
    while name in direct and direct[name] not in seen:
        name = direct[name]
        seen.add(name)
    return name


def spread_ranges(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> Ranges:
    """The ranges, and those of all tensors that take one of them."""
    shared = {name: ranges[owner] for name, owner in range_owners(graph).items() if owner in ranges}
    return {**shared, **ranges}
