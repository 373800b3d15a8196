"""Multiply-adds of one image: of convolutions, fully connected layers and matrix products.

They are counted from the shapes of a profile that was taken without optimisation and with the
weights in their plain form. What works element by element counts nothing, as is usual.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from compress_bench.graph.profiled import ProfiledNode

Shape = tuple[int, ...]
Shapes = Sequence[Shape]


@dataclass(frozen=True)
class Macs:
    """Multiply-adds of one image.

    Attributes:
        total: of all operators; None where one of them could not be counted.
        by_node: by name in the file's graph, of those that have any.
        reason: why there is no total; empty otherwise.
    """

    total: int | None
    by_node: Mapping[str, int]
    reason: str = ""


def count_macs(nodes: Iterable[ProfiledNode], batch_size: int = 1) -> Macs:
    """Multiply-adds of one image.

    Args:
        nodes: of the graph as the file has it, from a profile without optimisation.
        batch_size: images an inference.
    """
    found: dict[str, int] = {}
    unknown: dict[str, None] = {}
    for node in nodes:
        count = _count(node)
        if count is None:
            unknown[f"{node.operator} {node.name}"] = None
        elif count:
            found[node.name] = found.get(node.name, 0) + count * node.executions
    by_node = {name: count // batch_size for name, count in found.items()}
    if unknown:
        names = ", ".join(list(unknown)[:3]) + (" and others" if len(unknown) > 3 else "")
        return Macs(None, by_node, f"the shapes in the profile do not tell the work of {names}")
    return Macs(sum(found.values()) // batch_size, by_node)


def _count(node: ProfiledNode) -> int | None:
    """Multiply-adds of one operator; None where its shapes do not tell."""
    if node.operator not in _COUNTS:
        return None if _MULTIPLIES.search(node.operator) else 0
    inputs = [value.shape for value in node.inputs]
    outputs = [value.shape for value in node.outputs]
    try:
        return _COUNTS[node.operator](inputs, outputs)
    except (IndexError, ZeroDivisionError):
        return None


def _convolution(weight: int) -> Callable[[Shapes, Shapes], int]:
    """Each output element takes the weights of its channel; `weight` is the input's number."""

    def count(inputs: Shapes, outputs: Shapes) -> int:
        if len(inputs[weight]) != len(outputs[0]):
            raise IndexError("not the weights: the kernel keeps them in a form of its own")
        return math.prod(outputs[0]) * math.prod(inputs[weight][1:])

    return count


def _transposed(inputs: Shapes, outputs: Shapes) -> int:
    """Each input element meets the weights of its channel: [in, out / groups, h, w]."""
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _fully_connected(inputs: Shapes, outputs: Shapes) -> int:
    """[M, K] or [K, M], times what gives [M, N]."""
    return math.prod(outputs[0]) * (math.prod(inputs[0]) // outputs[0][0])


def _product(inputs: Shapes, outputs: Shapes) -> int:
    """[..., K] times [..., K, N]: K for each element of the result."""
    return math.prod(outputs[0]) * inputs[0][-1]


_COUNTS: Mapping[str, Callable[[Shapes, Shapes], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "Gemm": _fully_connected,
    "QGemm": _fully_connected,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
}
# Others that multiply: how much does not follow from their shapes alone.
_MULTIPLIES = re.compile("Conv|MatMul|Gemm|Einsum|Attention|LSTM|GRU|RNN|MoE")
