"""Cross-layer equalisation: channels that use little of a tensor's range are scaled up.

An activation has one range for all of its channels, so that a channel that stays small has few of
the 255 steps. ReLU lets a positive factor through: channel i is multiplied by s_i in the layer that
makes it, and divided in the layer that reads it. Nagel et al. equalise the weights' ranges of both
layers, since theirs have one scale a tensor. Ours have one an output channel, so the first layer's
factor costs nothing; what is weighed is the activation's range r_i against c_i, the largest share
that column i has of a row of the next layer. s_i = sqrt(c_i / r_i) makes both r_i s_i and c_i / s_i
sqrt(r_i c_i): steps are fine where the next layer makes much of them. A depthwise layer has a scale
for each channel too, so there s_i = 1 / r_i, and all channels use the whole range.

The factors leave the float network as it is; the weights are rounded and the ranges found anew.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1; with activations on the left side, Xiao
et al. 2023, arXiv:2211.10438, equation 4 with alpha = 1/2.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from compress.data.wording import counted
from compress_export.repair.biases import IMAGES, correct_biases
from compress_export.repair.case import Attempt, Case, Looked
from compress_export.repair.neighbours import (
    Pair,
    Scales,
    find_pairs,
    largest_columns,
    scale_pair,
)
from compress_export.repair.watching import watch

TITLE = "cross-layer equalisation"
BY_ACCURACY = False

_SMALLEST = 1 / 1024  # of the largest channel; a dead one is not blown up without end


def why_not(case: Case, found: Looked) -> str:
    """Where bounds such as ReLU6, or other readers, stand between all layers."""
    del case
    if find_pairs(found.attempt.reference):
        return ""
    return "no two layers follow each other with at most a ReLU between them"


def repair(case: Case, found: Looked) -> tuple[Attempt, str]:
    """The same float network, equalised; biases corrected anew where they were before."""
    attempt = found.attempt
    model = onnx.ModelProto()
    model.CopyFrom(attempt.reference)
    pairs = find_pairs(model)
    peaks = _peaks(case, model, pairs)
    for pair in pairs:
        columns = largest_columns(model.graph, pair)
        scale_pair(model, pair, factors(peaks[pair.tensor], columns))
    equalised, said = case.prepared(model, attempt), counted(len(pairs), "pair") + " of layers"
    if attempt.exact is None:
        return equalised, said
    return correct_biases(case, equalised)[0], f"{said}, biases corrected again"


def factors(peaks: Scales, columns: Scales | None) -> Scales:
    """The factor of each channel, so that the largest channel stays as large as it was: [C].

    Args:
        peaks: largest magnitude of each channel, [C].
        columns: what the next layer makes of it, [C]; None where it has a scale for each channel.
    """
    if not peaks.max(initial=0) > 0:
        return np.ones_like(peaks)
    raised = np.maximum(peaks, _SMALLEST * peaks.max())
    if columns is None:
        return np.asarray(raised.max() / raised)
    shares = np.maximum(columns, _SMALLEST * max(float(columns.max()), _SMALLEST))
    found = np.sqrt(shares / raised)
    return np.asarray(found * peaks.max() / (found * peaks).max())


def _peaks(case: Case, model: onnx.ModelProto, pairs: Sequence[Pair]) -> Mapping[str, Scales]:
    """The largest magnitude of each channel of the tensors between pairs, on training images."""
    names = list(dict.fromkeys(pair.tensor for pair in pairs))
    peaks: dict[str, Scales] = {}
    batches = case.calibration_inputs(model, IMAGES, "int8: channels of float32")
    for tensors in watch(model, names, batches, case.work.threads):
        for name, tensor in zip(names, tensors, strict=True):
            seen = np.abs(tensor).max(axis=(0, *range(2, tensor.ndim))).astype(np.float64)
            peaks[name] = np.maximum(peaks.get(name, seen), seen)
    return peaks
