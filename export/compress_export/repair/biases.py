"""Bias correction: what rounded weights add to the mean of each channel is taken off its bias.

Rounded weights are not those that were trained. Activations are mostly positive, so their errors do
not cancel over many images: each output channel is off by a constant, E[(W_int8 - W) x]. It is
measured on training images, with the inputs x that the quantised graph itself gives the layer: each
layer gets a twin beside it, whose weights are the errors, and whose mean output is the constant.

Nagel et al. take the difference of the channel's means in both graphs, layer after layer, which
counts what comes from the layers before too. Measured on a MobileNetV2 whose ranges cut outliers
off, that shifts every image by what the outliers lost: 62 points of accuracy were gone, where
the errors of the weights alone cost none.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.2; the means of its inputs measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compress_export.proof.quality import mean_kl
from compress_export.repair.case import Attempt, Case
from compress_export.repair.watching import watch
from compress_export.rewrites import _graph
from compress_export.work import as_logits

IMAGES = 256
_PASSES = 3  # inputs change a little with the biases before them

Shifts = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What one pass of the calibration images shows of a quantised graph.

    Attributes:
        channels: what the errors of a layer's weights add to its outputs on average, by the name
            of its node, [O].
        logits: float32 [N, classes].
    """

    channels: Shifts
    logits: NDArray[np.float32]


def correctable(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Names of the layers to whose bias a constant can be added, in the order of the graph."""
    return tuple(node.name for node in graph.node if _takes_shift(graph, node))


def correct_biases(case: Case, attempt: Attempt) -> tuple[Attempt, str]:
    """An attempt with the same weights and ranges, whose biases make up for rounded weights.

    Returns:
        The attempt with the smallest KL to float32 on the calibration images, and what was done;
        the attempt itself, where every correction leads away.
    """
    exact = attempt.reference
    wanted = _answers(case, exact)
    best, tried, least, shift = attempt, attempt, np.inf, 0.0
    for _ in range(1 + _PASSES):
        errors = _measure(case, tried)
        kl = mean_kl(wanted, errors.logits)
        if kl < least:
            best, least = tried, kl
        shifts = {name: -found for name, found in errors.channels.items()}
        shift = shift or _root_mean_square(shifts)
        tried = replace(attempt, core=shift_biases(exact, shifts), exact=exact)
    layers = f"{len(errors.channels)} layers, off by {shift:.2g} on average"
    if best is attempt:
        return attempt, f"{layers}: no correction brings them nearer to float32"
    return best, layers


def shift_biases(model: onnx.ModelProto, shifts: Shifts) -> onnx.ModelProto:
    """A copy in which each channel of the named layers gives that much more.

    Args:
        model: float32.
        shifts: by node name, [O]; a layer without a bias gets one.
    """
    shifted = onnx.ModelProto()
    shifted.CopyFrom(model)
    graph = shifted.graph
    for node in graph.node:
        if node.name not in shifts:
            continue
        shift = np.asarray(shifts[node.name])
        bias = _graph.reals(graph, node.input[2]) if _has_bias(node) else None
        value = shift if bias is None else bias + shift
        name = f"{node.output[0]}_bias"
        inputs = [*node.input[:2], _graph.add_constant(graph, name, value.astype(np.float32))]
        del node.input[:]
        node.input.extend(inputs)
    _graph.drop_unread(graph)
    return shifted


def with_twins(
    quantized: onnx.ModelProto, exact: onnx.ModelProto
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """A quantised graph in which a twin beside each layer shows what its rounded weights add.

    Args:
        quantized: not changed.
        exact: the float32 graph that it was made from, with the weights as they were trained.

    Returns:
        The graph, and for the name of each layer in integers the tensor that its twin gives: of a
        convolution the mean over positions, [n, O, 1, ...], of a linear layer [n, O].
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(quantized)
    graph = watched.graph
    trained = {
        node.name: _graph.reals(exact.graph, node.input[1])
        for node in exact.graph.node
        if _takes_shift(exact.graph, node)
    }
    stored = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    found: dict[str, str] = {}
    for node in list(graph.node):
        weight = trained.get(node.name)
        if weight is not None and node.input[1] in stored:
            errors = _dequantised(graph, stored[node.input[1]]) - weight
            found[node.name] = _add_twin(graph, node, errors)
    return watched, found


def _add_twin(graph: onnx.GraphProto, node: onnx.NodeProto, errors: NDArray[np.float32]) -> str:
    result = _graph.free_name(graph, f"{node.output[0]}_error")
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    twin.name = _graph.part_name(node, "error")
    del twin.input[:], twin.output[:]
    twin.input.extend([node.input[0], _graph.add_constant(graph, f"{result}_weight", errors)])
    twin.output.append(result)
    graph.node.append(twin)
    if node.op_type != "Conv":
        return result
    mean = f"{result}_mean"
    graph.node.append(helper.make_node("GlobalAveragePool", [result], [mean], f"{twin.name}.mean"))
    return mean


def _dequantised(graph: onnx.GraphProto, node: onnx.NodeProto) -> NDArray[np.float32]:
    """The values of a weight as its integers and scales have them; its zero points are 0."""
    tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.name in node.input}
    integers, scales = (numpy_helper.to_array(tensors[node.input[i]]) for i in (0, 1))
    shape = [1] * integers.ndim
    shape[_graph.attribute(node, "axis", 1)] = -1
    return np.asarray(integers * scales.reshape(shape), dtype=np.float32)


def _takes_shift(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether it is a convolution or linear layer with a plain bias or none."""
    if node.op_type not in ("Conv", "Gemm") or not node.name:
        return False
    weight = _graph.reals(graph, node.input[1])
    if weight is None or (node.op_type == "Gemm" and _graph.real(node, "beta", 1.0) != 1):
        return False
    by_row = node.op_type == "Conv" or _graph.attribute(node, "transB", 0)
    if not _has_bias(node):
        return True
    bias = _graph.reals(graph, node.input[2])
    return bias is not None and bias.shape == (weight.shape[0 if by_row else 1],)


def _has_bias(node: onnx.NodeProto) -> bool:
    return len(node.input) > 2 and bool(node.input[2])


def _answers(case: Case, exact: onnx.ModelProto) -> NDArray[np.float32]:
    """Float32's logits on the calibration images, [N, classes]."""
    output, threads = exact.graph.output[0].name, case.work.threads
    batches = case.calibration_inputs(exact, IMAGES, "int8: asking float32")
    rows = [logits for (logits,) in watch(exact, [output], batches, threads)]
    return as_logits(exact, np.concatenate(rows))


def _measure(case: Case, attempt: Attempt) -> Errors:
    quantized = attempt.graph()
    watched, twins = with_twins(quantized, attempt.reference)
    tensors = [quantized.graph.output[0].name, *twins.values()]
    batches = case.calibration_inputs(quantized, IMAGES, "int8: correcting biases")
    rows, sums = [], dict.fromkeys(twins, np.float64(0))
    for logits, *outputs in watch(watched, tensors, batches, case.work.threads):
        rows.append(logits)
        for name, output in zip(twins, outputs, strict=True):
            sums[name] = sums[name] + output.reshape(output.shape[:2]).sum(axis=0, dtype=np.float64)
    found = np.concatenate(rows)
    means = {name: np.asarray(total / len(found)) for name, total in sums.items()}
    return Errors(channels=means, logits=as_logits(quantized, found))


def _root_mean_square(shifts: Shifts) -> float:
    values = np.concatenate([np.zeros(1), *shifts.values()])
    return float(np.sqrt(np.mean(values**2)))
