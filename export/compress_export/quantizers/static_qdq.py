"""Static int8 as QuantizeLinear/DequantizeLinear pairs: one file that every CPU runs alike.

uint8 asymmetric activations per tensor, int8 symmetric weights per output channel. The library's
default of int8 activations leaves the branches of residual networks in float on x86; its default
of full-range weights overflows on CPUs without VNNI. onnxruntime's quantiser only writes the
graph; ranges and scales are ours.
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

from compress_export.calibration import Ranges
from compress_export.quantizers.kept_float import kept_float
from compress_export.quantizers.pair_projection import SafeWeight, safe_weights
from compress_export.quantizers.sharing import range_owners, spread_ranges
from compress_export.quantizers.weight_scales import leave_room_for_biases

# What onnxruntime's CPU provider computes in integers, or passes through, once it is fused.
OPERATORS = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Conv",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "LeakyRelu",
    "MatMul",
    "MaxPool",
    "Mul",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Where",
)

# Notes that the library leaves in a file.
_LIBRARY_NOTES = ("onnx.infer", "onnx.quant.pre_process")


def activations(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the float tensors that a range must be found for, in the order of the graph.

    Of those that share one range only its owner is among them.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph  # a rewrite's tensors have no type yet
    owners = range_owners(graph)
    floats = {
        value.name
        for value in (*graph.value_info, *graph.input, *graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    constants = {tensor.name for tensor in graph.initializer}
    found = {
        owners.get(name, name): None
        for node in graph.node
        if node.op_type in OPERATORS
        for name in (*node.input, *node.output)
        if name in floats and owners.get(name, name) in floats and name not in constants
    }
    return tuple(found)


def quantize(
    model: onnx.ModelProto,
    ranges: Ranges,
    weights: Mapping[str, SafeWeight] | None = None,
    floats: Sequence[str] = (),
) -> onnx.ModelProto:
    """Write the quantised form of a float32 network.

    Args:
        model: not changed.
        ranges: of each tensor in `activations(model)`.
        weights: of `safe_weights(model)`, where they are known already.
        floats: names of nodes that are left in float beside those that must be.

    Returns:
        A graph with the same input, output and metadata.
    """
    spread = spread_ranges(model.graph, ranges)
    left = [*kept_float(model), *floats]
    safe = _of_integers(model, weights or safe_weights(model), left)
    safe = leave_room_for_biases(model, safe, spread)
    prepared = copy.deepcopy(model)
    _replace_weights(prepared, safe)
    with _quiet_root_logger():
        writer = QDQQuantizer(
            prepared,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=_tensors_data(spread),
            nodes_to_quantize=[],
            nodes_to_exclude=left,
            op_types_to_quantize=list(OPERATORS),
            extra_options={"TensorQuantOverrides": _weight_overrides(safe)},
        )
        quantized: onnx.ModelProto = writer.quantize_model()
        writer.model.topological_sort()  # it appends its nodes; ONNX wants them in order
    _update_metadata(quantized)
    quantized.producer_name, quantized.producer_version = (
        model.producer_name,
        model.producer_version,
    )
    quantized.ir_version = model.ir_version
    return quantized


def _of_integers(
    model: onnx.ModelProto, weights: Mapping[str, SafeWeight], floats: Sequence[str]
) -> dict[str, SafeWeight]:
    """The weights that a node in integers reads; those of layers left in float stay as trained."""
    read = {n for node in model.graph.node if node.name not in floats for n in node.input}
    return {name: safe for name, safe in weights.items() if name in read}


def _replace_weights(model: onnx.ModelProto, weights: Mapping[str, SafeWeight]) -> None:
    """Put the safe values, multiples of their scales, in the place of the trained ones."""
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            values = np.ascontiguousarray(weights[tensor.name].values, dtype=np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _tensors_data(ranges: Ranges) -> TensorsData:
    return TensorsData(
        CalibrationMethod.MinMax,
        {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()},
    )


def _weight_overrides(weights: Mapping[str, SafeWeight]) -> dict[str, list[dict[str, Any]]]:
    """Our scale for each output channel of each weight, in the library's form."""
    overrides: dict[str, list[dict[str, Any]]] = {}
    for name, safe in weights.items():
        channels: list[dict[str, Any]] = [
            {"scale": float(scale), "zero_point": 0, "quant_type": QuantType.QInt8}
            for scale in safe.scales
        ]
        channels[0]["axis"] = safe.weight.axis
        overrides[name] = channels
    return overrides


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """The library writes advice for its own defaults to the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(before)


def _update_metadata(model: onnx.ModelProto) -> None:
    kept = {p.key: p.value for p in model.metadata_props if p.key not in _LIBRARY_NOTES}
    onnx.helper.set_model_props(model, kept)
