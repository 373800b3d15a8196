"""What a delivered file takes and gives: a camera's frame in, scores or a label out, a fixed batch.

The last step before a file is written: the graphs in the middle take normalised float32 and give
logits. What is added here computes what `preprocess` and numpy would, to the last bit.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compress.errors import ExportError
from compress.preprocess import Preprocessing
from compress.settings.export import InputKind, OutputKind
from compress_export.frames import take_frames
from compress_export.quantizers.kept_float import final_softmax
from compress_export.splice import append, free, only_input


def attach_ends(
    core: onnx.ModelProto,
    preprocessing: Preprocessing,
    input: InputKind,  # noqa: A002 - the flag's name
    output: OutputKind,
) -> onnx.ModelProto:
    """A network with another input and output; its answers stay the same to the last bit.

    Args:
        core: float32 [batch, c, h, w] or [batch, h, w, c] in, logits [batch, classes] out (or
            scores, which are then taken as they are); of float32, or quantised by QuantizeLinear
            pairs. Opset 13 or newer. Not changed.
        preprocessing: what images go through before the core's input.
        input: "float" keeps it; "uint8" takes frames [batch, h, w, c] and normalises them.
        output: "logits" keeps it; "scores" is their softmax, float32 [batch, classes]; "label" is
            two: `label`, the class of the largest logit, int64 [batch], the first of equal ones,
            and `score`, its share, float32 [batch].

    Returns:
        A new graph.

    Raises:
        ExportError: the core has other inputs or outputs than one of each.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    if (input, output) == ("float", "logits"):
        return model
    _check_core(model.graph)
    if input == "uint8":
        take_frames(model.graph, preprocessing)
    if output == "scores":
        _give_scores(model.graph, given=ends_in_softmax(core))
    elif output == "label":
        _give_label(model.graph, given=ends_in_softmax(core))
    return model


def fix_batch(model: onnx.ModelProto, batch_size: int) -> onnx.ModelProto:
    """The same network for one number of images only.

    Args:
        model: not changed.
        batch_size: at least one.

    Returns:
        A new graph, its inner shapes inferred anew.

    Raises:
        ExportError: its batch is fixed at another number.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (only_input(fixed.graph), *fixed.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if batch.HasField("dim_value") and batch.dim_value != batch_size:
            raise ExportError(
                f"{value.name}: expected a batch that can be fixed at {batch_size}, found one "
                f"fixed at {batch.dim_value}; leave --batch-size out, or give {batch.dim_value}"
            )
        batch.dim_value = batch_size
    del fixed.graph.value_info[:]
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(fixed)
    return inferred


def _check_core(graph: onnx.GraphProto) -> None:
    rank = len(only_input(graph).type.tensor_type.shape.dim)
    outputs = [len(value.type.tensor_type.shape.dim) for value in graph.output]
    if rank != 4 or outputs != [2]:
        raise ExportError(
            f"{graph.name}: expected one input of images with 4 axes and one output "
            f"[batch, classes], found an input of {rank} axes and outputs of {outputs}; "
            "export with --input float --output logits"
        )


def ends_in_softmax(model: onnx.ModelProto) -> bool:
    """Whether what a graph calls its output are shares already, and no logits."""
    return bool(final_softmax(model.graph))


def _shares(source: str, target: str, *, given: bool) -> onnx.NodeProto:
    """The node that makes scores of the output; nothing is done to what are scores already."""
    if given:
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Softmax", [source], [target], axis=1)


def _give_scores(graph: onnx.GraphProto, *, given: bool) -> None:
    """Let the output be `scores`, float32 [batch, classes]."""
    (logits,) = graph.output
    batch, classes = logits.type.tensor_type.shape.dim
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1])
    scores.type.tensor_type.shape.dim[0].CopyFrom(batch)
    scores.type.tensor_type.shape.dim[1].CopyFrom(classes)
    (source,) = free(graph, ["scores"], [logits.name])
    append(graph, [_shares(source, "scores", given=given)], [scores])


def _give_label(graph: onnx.GraphProto, *, given: bool) -> None:
    """Let the outputs be `label`, int64 [batch], and `score`, float32 [batch]."""
    (logits,) = graph.output
    kinds = {"label": TensorProto.INT64, "score": TensorProto.FLOAT}
    inner = ["label/axis", "label/scores", "label/index", "label/best"]
    outputs = [helper.make_tensor_value_info(name, kind, [1]) for name, kind in kinds.items()]
    for value in outputs:
        value.type.tensor_type.shape.dim[0].CopyFrom(logits.type.tensor_type.shape.dim[0])
    (source,) = free(graph, [*kinds, *inner], [logits.name])
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "label/axis"))
    # Gathered, not reduced: ReduceMax changed its form at opset 18.
    nodes = [
        _shares(source, "label/scores", given=given),
        helper.make_node("ArgMax", [source], ["label/index"], axis=1, keepdims=1),
        helper.make_node("GatherElements", ["label/scores", "label/index"], ["label/best"], axis=1),
        helper.make_node("Squeeze", ["label/index", "label/axis"], ["label"]),
        helper.make_node("Squeeze", ["label/best", "label/axis"], ["score"]),
    ]
    append(graph, nodes, outputs)
