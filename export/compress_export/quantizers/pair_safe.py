"""Weight scales under which no CPU's 16-bit accumulation can overflow.

On x86 without VNNI the byte product instruction multiplies two adjacent uint8 activations with
two adjacent int8 weights and adds the two products in 16 bits with saturation. The worst case is
255 * w1 + 255 * w2, so |w1 + w2| <= 128 keeps every sum exact (255 * 128 = 32640 <= 32767,
255 * 129 = 32895). Two weights of opposite sign always fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compress.errors import ExportError

LARGEST_PAIR = 128
LARGEST_WEIGHT = 127

# w1/scale + w2/scale <= 127 leaves both roundings half a step each below 128.
_ROUNDED_PAIR = LARGEST_PAIR - 1


@dataclass(frozen=True)
class Weight:
    """A constant weight of an operator that multiplies in integers.

    Attributes:
        name: of the initializer.
        axis: of the output channels.
        values: as stored.
        exempt: depthwise, whose kernels widen to 16 bits before they multiply.
    """

    name: str
    axis: int
    values: NDArray[np.generic]
    exempt: bool

    def rows(self) -> NDArray[np.generic]:
        """One row per output channel, in the order in which kernels multiply: [O, K].

        Convolutions run over the kernel's axes in their order, then over the input channels.
        """
        if self.values.ndim > 2:
            return np.moveaxis(self.values, 1, -1).reshape(len(self.values), -1)
        return self.values if self.axis == 0 else self.values.T

    def from_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values [O, K] in the order of `rows` back in the weight's own shape."""
        if self.values.ndim > 2:
            outputs, inputs, *kernel = self.values.shape
            return np.moveaxis(rows.reshape(outputs, *kernel, inputs), -1, 1)
        return rows if self.axis == 0 else rows.T


def weights_of(model: onnx.ModelProto) -> Iterator[Weight]:
    """The constant weights of Conv, Gemm and MatMul, directly or behind a DequantizeLinear.

    One that is read in several ways comes once for each; own_constants.py leaves none.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors
    }
    seen = set()
    for node in model.graph.node:
        name = stored.get(node.input[1], node.input[1]) if len(node.input) > 1 else ""
        if name not in tensors:
            continue
        reading = weight_reading(node, tensors[name].dims)
        if reading is not None and (name, reading) not in seen:
            seen.add((name, reading))
            axis, exempt = reading
            yield Weight(name, axis, numpy_helper.to_array(tensors[name]), exempt)


def weight_reading(node: onnx.NodeProto, shape: Sequence[int]) -> tuple[int, bool] | None:
    """How a node reads its second input as a weight; None where it does not.

    Args:
        node: of any kind.
        shape: of that input.

    Returns:
        The axis of the output channels, and whether the weight is exempt: see `Weight`.
    """
    axis = _output_axis(node)
    if axis is None or (node.op_type != "Conv" and len(shape) != 2):
        return None
    return axis, _is_depthwise(node, shape)


def _output_axis(node: onnx.NodeProto) -> int | None:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if _integer(node, "transB", 0) else 1
    return 1 if node.op_type == "MatMul" else None


def _is_depthwise(node: onnx.NodeProto, shape: Sequence[int]) -> bool:
    """One input and one output channel a group; with a multiplier onnxruntime takes the GEMM."""
    groups = _integer(node, "group", 1) if node.op_type == "Conv" else 1
    return groups > 1 and groups == shape[0] and shape[1] == 1


def _integer(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def pair_safe_scales(weight: Weight) -> NDArray[np.float32]:
    """The smallest symmetric scale per output channel that keeps each adjacent pair exact: [O].

    A channel of zeros gets the scale of a weight of one; its bias still needs a scale.
    """
    rows = weight.rows().astype(np.float64)
    needed = np.abs(rows).max(axis=1) / LARGEST_WEIGHT
    if not weight.exempt and rows.shape[1] > 1:
        needed = np.maximum(needed, largest_pairs(rows) / _ROUNDED_PAIR)
    needed[needed == 0] = 1 / LARGEST_WEIGHT
    # Rounded up, so that the division by the stored scale cannot exceed the bound.
    scales: NDArray[np.float32] = np.nextafter(needed.astype(np.float32), np.float32(np.inf))
    return scales


def largest_pairs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest |w1 + w2| over adjacent weights of one sign, per row of [O, K]: [O]."""
    left, right = rows[:, :-1], rows[:, 1:]
    sums = np.where(left * right > 0, np.abs(left + right), 0)
    return np.asarray(sums.max(axis=1, initial=0), dtype=np.float64)


def count_saturating_pairs(model: onnx.ModelProto) -> int:
    """Adjacent int8 weights of a quantised graph whose products can overflow 16 bits."""
    count = 0
    for weight in weights_of(model):
        if weight.exempt or weight.values.dtype != np.int8:
            continue
        rows = weight.rows().astype(np.int64)
        left, right = rows[:, :-1], rows[:, 1:]
        count += int(((left * right > 0) & (np.abs(left + right) > LARGEST_PAIR)).sum())
    return count


def refuse_saturation(pairs: int, *, subject: str) -> None:
    """Let no file go out that answers differently from CPU to CPU.

    Args:
        pairs: found by `count_saturating_pairs`.
        subject: how an error names the file.

    Raises:
        ExportError: there are any; `pair_safe_scales` should have left none.
    """
    if pairs:
        raise ExportError(
            f"{subject}: expected int8 weights whose products fit in 16 bits, found {pairs} "
            "adjacent pairs that overflow on CPUs without VNNI; this is a fault of compress: "
            "report it with the network, and export without --int8"
        )
