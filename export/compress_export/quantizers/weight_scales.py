"""The weights as they are to be written: safe in pairs, and with room for the bias."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compress_export.calibration import Range
from compress_export.proof.bias import bias_safe_scales
from compress_export.quantizers.pair_projection import SafeWeight
from compress_export.quantizers.pair_safe import pair_safe_scales

_STEPS = 255  # of uint8 activations


def leave_room_for_biases(
    model: onnx.ModelProto, weights: Mapping[str, SafeWeight], ranges: Mapping[str, Range]
) -> dict[str, SafeWeight]:
    """The weights, with larger scales where a bias would fill the 32 bits of a sum by itself.

    A bias is added in steps of (input scale * weight scale). Where weights are tiny beside it, the
    library lets it take all of the 32 bits, and every sum wraps around.

    Args:
        model: float32.
        weights: of its layers, by name.
        ranges: of all activations that layers read.
    """
    found = dict(weights)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3:
            continue
        source, name, bias = node.input[:3]
        if name in found and bias in constants and source in ranges:
            low, high = ranges[source]
            input_scale = (max(high, 0.0) - min(low, 0.0)) / _STEPS
            biases = numpy_helper.to_array(constants[bias]).ravel()
            if biases.size in (1, found[name].scales.size):  # else the layer stays in float
                found[name] = _raise(found[name], biases, input_scale)
    return found


def _raise(safe: SafeWeight, biases: NDArray[np.float32], input_scale: float) -> SafeWeight:
    """Channels whose scale must grow are rounded anew, at a scale at which all pairs fit."""
    if input_scale <= 0:
        return safe
    biases = np.broadcast_to(biases, safe.scales.shape)
    raised = bias_safe_scales(safe.scales, biases, input_scale)
    grown = raised > safe.scales
    if not grown.any():
        return safe
    scales = np.where(grown, np.maximum(raised, pair_safe_scales(safe.weight)), safe.scales)
    rows = np.array(safe.weight.rows(), dtype=np.float32)
    kept = replace(safe.weight, values=safe.values).rows()
    values = safe.weight.from_rows(np.where(grown[:, None], rows, kept))
    return SafeWeight(safe.weight, scales.astype(np.float32), values)
