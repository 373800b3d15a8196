"""What kind of work an operator does: in integers, in float, between both, or none but moving.

Python 3.8 and the standard library alone: the packed file counts on a board with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from compress_bench.graph.profiled import ProfiledNode

Kind = Literal["integer", "float", "boundary", "move"]

# Change the place or the type of values, not the values.
MOVES = frozenset(
    {"Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze"}
    | {"Tile", "Transpose", "Unsqueeze"}
)
# Between float and integers.
BORDERS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
# Compute in integers and give floats.
INTEGER_TO_FLOAT = frozenset({"QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"})

# Added by onnxruntime where kernels want another layout.
LAYOUT = frozenset({"ReorderInput", "ReorderOutput", "Transpose"})
_NO_WORK = MOVES | LAYOUT | {"Shape", "Size"}
_FLOATS = ("float", "double", "float16", "bfloat16")
_QUANTISED = ("uint8", "int8", "uint16", "int16", "uint4", "int4")


def is_float(kind: str) -> bool:
    """Whether a type of a profile's tensor is a float's."""
    return kind in _FLOATS


def kind_of(node: ProfiledNode) -> Kind:
    """Told by the operator and the types that go in and out."""
    if node.operator in BORDERS:
        return "boundary"
    if node.operator in _NO_WORK:
        return "move"
    if node.operator in INTEGER_TO_FLOAT:
        return "integer"
    types = [value.type for value in (*node.outputs, *node.inputs)]
    if any(is_float(value.type) for value in node.outputs):
        return "float"
    if any(name in _QUANTISED for name in types):
        return "integer"
    # Labels of a float's largest; else counting of shapes.
    return "float" if any(is_float(name) for name in types) else "move"
