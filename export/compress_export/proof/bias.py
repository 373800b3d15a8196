"""Static audit of a quantised graph's 32-bit sums, exact: no image can make one wrap around.

A convolution adds products of integers and its bias in an int32. Kernels may wrap on the way, for
that arithmetic is modular, but the sum itself must fit. The library's writer raises a weight scale
until the bias alone fits, and leaves the products a ten-thousandth of the range: an answer can then
change its sign. `bias_safe_scales` leaves them half of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compress.errors import ExportError
from compress_export.quantizers.pair_safe import LARGEST_PAIR, weights_of

_LIMIT = 2**31  # an int32 holds [-_LIMIT, _LIMIT - 1]
LARGEST_BIAS = 2**30  # leaves as much to the products of up to 33,000 inputs a channel
NEAR = 0.5  # of the range: layers that are worth a look
_SCALE_TOLERANCE = 1e-3  # of a bias's stored scale; float32 products differ by 1e-7


@dataclass(frozen=True)
class LayerAudit:
    """One convolution or product of a quantised graph.

    Attributes:
        node: its name.
        largest_bias: of all output channels, as a share of what an int32 holds.
        largest_sum: the same of the largest sum that any input can make, bias included.
        saturated_biases: channels whose bias does not fit, or was cut off when it was written.
        overflowing_sums: channels whose sum can leave the range.
        unlike_scales: channels whose bias was written with another scale than input times weight,
            which is what kernels take.
        saturating_pairs: adjacent weights whose products overflow 16 bits on CPUs without VNNI.
    """

    node: str
    largest_bias: float
    largest_sum: float
    saturated_biases: int
    overflowing_sums: int
    unlike_scales: int
    saturating_pairs: int


@dataclass(frozen=True)
class BiasAudit:
    """All layers whose weights are quantised constants, in the order of the graph."""

    layers: tuple[LayerAudit, ...]

    def total(self, fault: str) -> int:
        """Sum of one kind of fault, a field of `LayerAudit`."""
        return sum(getattr(layer, fault) for layer in self.layers)

    @property
    def near(self) -> tuple[LayerAudit, ...]:
        """Layers that can use more than half of an int32, the fullest first."""
        found = (layer for layer in self.layers if layer.largest_sum > NEAR)
        return tuple(sorted(found, key=lambda layer: -layer.largest_sum))


def bias_safe_scales(
    scales: NDArray[np.float32], biases: NDArray[np.float32], input_scale: float
) -> NDArray[np.float32]:
    """Weight scales raised where the bias would take more than half of an int32: [O].

    Weights that are so small beside their bias change nothing in the output's 255 steps.

    Args:
        scales: of the weight, per output channel [O].
        biases: in float [O].
        input_scale: of the activation that the layer reads.
    """
    needed = np.abs(biases.astype(np.float64)) / (np.float64(input_scale) * LARGEST_BIAS)
    raised = np.nextafter(needed.astype(np.float32), np.float32(np.inf))
    return np.where(needed > scales, raised, scales).astype(np.float32)


def refuse_overflow(audit: BiasAudit, *, subject: str) -> None:
    """Let no file go out whose sums can wrap around.

    Args:
        audit: of the file.
        subject: how an error names the file.

    Raises:
        ExportError: there are any; `bias_safe_scales` should have left none.
    """
    for layer in audit.layers:
        if layer.saturated_biases or layer.overflowing_sums or layer.unlike_scales:
            raise ExportError(
                f"{subject}: expected every sum of {layer.node} to fit in 32 bits, found "
                f"{layer.saturated_biases} cut biases, {layer.overflowing_sums} channels that can "
                f"overflow and {layer.unlike_scales} biases of another scale; this is a fault of "
                "compress: report it with the network, and export without --int8"
            )


def audit_bias(model: onnx.ModelProto, float_model: onnx.ModelProto | None = None) -> BiasAudit:
    """Audit every Conv, Gemm and MatMul whose weight is a quantised constant.

    Args:
        model: with QuantizeLinear and DequantizeLinear, as written, not as onnxruntime fuses it.
        float_model: what it was made from: its biases show what was cut off. Nodes are found by
            name.
    """
    floats = {} if float_model is None else _float_biases(float_model)
    return BiasAudit(tuple(_audit(layer, floats.get(layer.node)) for layer in _layers(model)))


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """Integers of one layer; weights less their zero point, one row per output channel [O, K]."""

    node: str
    rows: NDArray[np.int64]
    bias: NDArray[np.float64]  # [O] in steps of input scale times weight scale, whole if stored
    scale: NDArray[np.float64]  # [O]
    stored_scale: NDArray[np.float64] | None  # [O] of a bias that is stored as integers
    low: int  # of the input, less its zero point: at most 0
    high: int  # at least 0
    pairs: int


def _audit(layer: _Layer, bias: NDArray[np.float64] | None) -> LayerAudit:
    positive = np.where(layer.rows > 0, layer.rows, 0).sum(axis=1)
    negative = np.where(layer.rows < 0, layer.rows, 0).sum(axis=1)
    lowest = layer.bias + layer.low * positive + layer.high * negative
    highest = layer.bias + layer.high * positive + layer.low * negative
    wanted = layer.bias
    if bias is not None and bias.size in (1, layer.scale.size):
        wanted = np.rint(np.broadcast_to(bias.reshape(-1), layer.scale.shape) / layer.scale)
    at_the_end = (layer.bias >= _LIMIT - 1) | (layer.bias <= -_LIMIT)
    cut = ~_fits(wanted, wanted) | at_the_end
    stored = layer.scale if layer.stored_scale is None else layer.stored_scale
    unlike = np.abs(stored - layer.scale) > _SCALE_TOLERANCE * layer.scale
    return LayerAudit(
        node=layer.node,
        largest_bias=float(np.abs(wanted).max(initial=0)) / _LIMIT,
        largest_sum=float(np.maximum(np.abs(lowest), np.abs(highest)).max(initial=0)) / _LIMIT,
        saturated_biases=int(cut.sum()),
        overflowing_sums=int((~_fits(lowest, highest)).sum()),
        unlike_scales=int((unlike & (layer.bias != 0)).sum()),
        saturating_pairs=layer.pairs,
    )


def _fits(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether an int32 holds both; float64 holds these whole numbers exactly."""
    return np.asarray((low >= -_LIMIT) & (high <= _LIMIT - 1))


def _layers(model: onnx.ModelProto) -> Iterator[_Layer]:
    """What can be audited: constant integer weights, an input of known scale."""
    graph = _Constants(model.graph)
    weights = {weight.name: weight for weight in weights_of(model)}
    for node in model.graph.node:
        if len(node.input) < 2 or node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight_maker, input_maker = (graph.dequantised(node.input[i]) for i in (1, 0))
        weight = weights.get(weight_maker.input[0]) if weight_maker is not None else None
        if weight is None or weight_maker is None or input_maker is None:
            continue
        scale, zero = graph.parameters(weight_maker)
        input_scale, input_zero = graph.parameters(input_maker)
        if input_scale.size != 1:
            continue
        rows = weight.rows().astype(np.int64)
        rows = rows - np.broadcast_to(zero.reshape(-1), len(rows))[:, None]
        steps = np.broadcast_to(scale.reshape(-1), len(rows)) * float(input_scale.reshape(-1)[0])
        bias, stored = graph.bias(node, steps)
        ends = np.iinfo(np.int8 if input_zero.dtype == np.int8 else np.uint8)
        offset = int(input_zero.reshape(-1)[0])
        yield _Layer(
            node=node.name or node.output[0],
            rows=rows,
            bias=bias,
            scale=steps,
            stored_scale=stored,
            low=ends.min - offset,
            high=ends.max - offset,
            pairs=0 if weight.exempt or weight.values.dtype != np.int8 else _pairs(rows),
        )


class _Constants:
    """The constants of a graph, and what dequantises them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._values = {tensor.name: tensor for tensor in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output}

    def value(self, name: str) -> NDArray[np.generic]:
        return np.asarray(numpy_helper.to_array(self._values[name]))

    def dequantised(self, name: str) -> onnx.NodeProto | None:
        """The DequantizeLinear with constant parameters that makes a tensor."""
        node = self._makers.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return None
        return node if all(parameter in self._values for parameter in node.input[1:]) else None

    def parameters(self, node: onnx.NodeProto) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
        """Scale and zero point of a DequantizeLinear; without one it is 0, of type uint8."""
        scale = self.value(node.input[1]).astype(np.float64)
        has_zero = len(node.input) > 2 and node.input[2]
        return scale, self.value(node.input[2]) if has_zero else np.zeros(1, np.uint8)

    def bias(
        self, node: onnx.NodeProto, steps: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """In steps [O], and the scale it is stored with; a float one is quantised on loading."""
        name = node.input[2] if len(node.input) > 2 else ""
        maker = self.dequantised(name)
        if maker is not None and maker.input[0] in self._values:
            stored, _ = self.parameters(maker)
            integers = self.value(maker.input[0]).astype(np.float64).reshape(-1)
            return integers, np.broadcast_to(stored.reshape(-1), steps.shape)
        if name in self._values:
            values = self.value(name).astype(np.float64).reshape(-1)
            return np.rint(np.broadcast_to(values, steps.shape) / steps), None
        return np.zeros_like(steps), None


def _pairs(rows: NDArray[np.int64]) -> int:
    left, right = rows[:, :-1], rows[:, 1:]
    return int(((left * right > 0) & (np.abs(left + right) > LARGEST_PAIR)).sum())


def _float_biases(model: onnx.ModelProto) -> dict[str, NDArray[np.float64]]:
    """Node name -> bias [O] of a float graph."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        node.name: np.asarray(numpy_helper.to_array(constants[node.input[2]]), dtype=np.float64)
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm") and len(node.input) > 2 and node.input[2] in constants
    }
