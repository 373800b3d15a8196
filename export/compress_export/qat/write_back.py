"""From a trained network back to an attempt, whose graph the one writer writes again."""

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from compress_export.qat.fake_quantize import FakeQuantizeWeight, Learnt
from compress_export.qat.network import QuantizedNetwork
from compress_export.quantizers.pair_projection import SafeWeight
from compress_export.repair.case import Attempt


def write_back(network: QuantizedNetwork, attempt: Attempt) -> Attempt:
    """The attempt with the weights and biases that were learnt; ranges and nodes stay.

    The weights are exactly those integers that the network computes with. Where a bias has grown
    so large that the writer must raise a channel's scale, that channel is rounded anew.

    Args:
        network: trained; made from `attempt`.
        attempt: not changed.
    """
    core = copy.deepcopy(attempt.core)
    stored = {tensor.name: tensor for tensor in core.graph.initializer}
    weights = dict(attempt.weights)
    for learnt in network.learnt():
        values = np.ascontiguousarray(learnt.latent.detach().numpy(), dtype=np.float32)
        stored[learnt.name].CopyFrom(numpy_helper.from_array(values, learnt.name))
        if learnt.name in weights:
            weights[learnt.name] = _safe(learnt, weights[learnt.name], values)
    return replace(attempt, core=core, weights=weights, exact=attempt.reference)


def _safe(learnt: Learnt, before: SafeWeight, values: NDArray[np.float32]) -> SafeWeight:
    """The weight as it is to be written; one of a layer left in float as it was learnt."""
    weight = replace(before.weight, values=values)
    if isinstance(learnt, FakeQuantizeWeight):
        return SafeWeight(weight, learnt.scales, np.ascontiguousarray(learnt.rounded()))
    return SafeWeight(weight, before.scales, values)
