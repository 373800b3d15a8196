"""Frames in, scores or labels out, a fixed batch: to the last bit what the core answers."""

import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.errors import ExportError
from compress.preprocess import Preprocessing, preprocess
from compress_export.ends import attach_ends, ends_in_softmax, fix_batch
from compress_export.session import AS_WRITTEN, OPTIMISED, open_session, session_options

SIDE, WIDTH, CLASSES = 12, 16, 5
OWN = Preprocessing((SIDE, SIDE), 3)
GREY = Preprocessing((SIDE, SIDE), 1)
UNEVEN = Preprocessing((SIDE, SIDE), 3, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
THIRDS = Preprocessing((SIDE, SIDE), 3, (100.0,), (3.0,))  # 1 / 3 is not exact
OPSETS = (13, 17, 18, 20, 22)


class Writer:
    """A graph node by node, each tensor in float32 or through QuantizeLinear pairs."""

    def __init__(self, quantised: bool) -> None:
        self.quantised = quantised
        self.nodes, self.tensors = [], []
        self.rng = np.random.default_rng(0)

    def constant(self, name, array):
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, operator, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def pair(self, source, scale, zero_point):
        """The tensor itself, or quantised to uint8 and back."""
        if not self.quantised:
            return source
        step = self.constant(f"{source}/scale", np.float32(scale))
        zero = self.constant(f"{source}/zero", np.uint8(zero_point))
        return self.add(
            "DequantizeLinear", [self.add("QuantizeLinear", [source, step, zero]), step, zero]
        )

    def weight(self, shape):
        """A weight of int8 steps in either form, so that both cores compute the same network."""
        steps = self.rng.integers(-60, 61, shape).astype(np.int8)
        name = f"w{len(self.tensors)}"
        scale = np.float32(1 / (60 * np.sqrt(np.prod(shape[1:]))))
        if not self.quantised:
            return self.constant(name, steps.astype(np.float32) * scale)
        step = self.constant(f"{name}/scale", scale)
        zero = self.constant(f"{name}/zero", np.int8(0))
        return self.add("DequantizeLinear", [self.constant(name, steps), step, zero])


def core(spec, *, quantised=False, opset=18, layout="nchw", input_scale=None, batch="batch"):
    """Convolutions with padding, pooling and a fully connected layer.

    Args:
        spec: its preprocessing; decides the range of the input.
        quantised: with QuantizeLinear pairs.
        opset: of the default domain.
        layout: of its input, nchw or nhwc.
        input_scale: of the input's QuantizeLinear; 1 / spec.scale if not given.
        batch: a name, or a number.
    """
    w = Writer(quantised)
    low = -spec.mean[0] / spec.scale[0]
    scale = input_scale or 1 / spec.scale[0]
    x = w.pair("input", scale, round(-low / scale))
    if layout == "nhwc":
        x = w.add("Transpose", [x], perm=[0, 3, 1, 2])
    x = w.add("Conv", [x, w.weight((WIDTH, spec.channels, 3, 3))], pads=[1, 1, 1, 1])
    x = w.pair(w.add("Relu", [x]), 8 / 255, 0)
    x = w.pair(w.add("Conv", [x, w.weight((WIDTH, WIDTH, 1, 1))]), 4 / 255, 128)
    x = w.pair(w.add("GlobalAveragePool", [x]), 2 / 255, 128)
    x = w.add("Reshape", [x, w.constant("rows", np.array([-1, WIDTH]))])
    x = w.pair(x, 2 / 255, 128)
    x = w.pair(w.add("MatMul", [x, w.weight((WIDTH, CLASSES))]), 2 / 255, 128)
    w.nodes.append(helper.make_node("Identity", [x], ["logits"], name="logits"))
    plane = [spec.channels, *spec.size] if layout == "nchw" else [*spec.size, spec.channels]
    graph = helper.make_graph(
        w.nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *plane])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        w.tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def frames(spec, count=4):
    """uint8 [count, SIDE, SIDE, c] with every grey level."""
    shape = (count, *spec.size, spec.channels)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def run(model, inputs, level=OPTIMISED):
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model, session_options(1, level), subject="small")
    return session.run(None, {session.get_inputs()[0].name: inputs})


def optimised(model):
    """Operator types of the graph that onnxruntime runs, in order."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        open_session(model, options, subject="small")
        return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


# --------------------------------------------------------------------------------------- input


@pytest.mark.parametrize("level", [OPTIMISED, AS_WRITTEN], ids=["optimised", "as written"])
@pytest.mark.parametrize("quantised", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("spec", [OWN, GREY, UNEVEN, THIRDS], ids=["own", "grey", "uneven", "3"])
def test_frames_give_the_logits_of_preprocess_to_the_last_bit(spec, quantised, level):
    small = core(spec, quantised=quantised)
    (expected,) = run(small, preprocess(frames(spec), spec), level)
    (found,) = run(attach_ends(small, spec, "uint8", "logits"), frames(spec), level)
    assert len(np.unique(expected)) > CLASSES
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("spec", [OWN, GREY, THIRDS], ids=["own", "grey", "3"])
def test_a_frame_of_our_normalisation_is_the_quantised_tensor_itself(spec):
    file = attach_ends(core(spec, quantised=True), spec, "uint8", "logits")
    first = file.graph.node[0]
    assert (first.op_type, list(first.input)) == ("Transpose", ["input"])
    counts = Counter(optimised(file))
    assert counts["QuantizeLinear"] == counts["Cast"] == counts["Sub"] == counts["Div"] == 0
    assert counts["QLinearConv"] == 2


def test_the_frame_reaches_an_int8_convolution_without_a_transpose():
    small = core(OWN, quantised=True)
    assert optimised(small)[:2] == ["QuantizeLinear", "Transpose"]
    assert optimised(attach_ends(small, OWN, "uint8", "logits"))[0] == "QLinearConv"


@pytest.mark.parametrize("scale", [1 / 64 * 1.001, 1 / 65])
def test_another_quantisation_of_the_input_keeps_its_arithmetic(scale):
    small = core(OWN, quantised=True, input_scale=scale)
    file = attach_ends(small, OWN, "uint8", "logits")
    assert Counter(optimised(file))["QuantizeLinear"] == 1
    (expected,) = run(small, preprocess(frames(OWN), OWN))
    assert np.array_equal(run(file, frames(OWN))[0], expected)


def test_normalising_by_channel_is_done_on_whole_rows_and_stays_there():
    file = attach_ends(core(UNEVEN, quantised=True), UNEVEN, "uint8", "logits")
    row = SIDE * 3
    constants = {tensor.name: list(tensor.dims) for tensor in file.graph.initializer}
    assert constants["input/mean"] == constants["input/scale"] == [row]
    arithmetic = ["Reshape", "Cast", "Sub", "Div", "QuantizeLinear", "Reshape", "QLinearConv"]
    assert optimised(file)[:7] == arithmetic  # no Transpose in between


@pytest.mark.parametrize("quantised", [False, True], ids=["float32", "int8"])
def test_a_network_that_takes_channels_last_needs_no_transpose(quantised):
    small = core(OWN, quantised=quantised, layout="nhwc")
    file = attach_ends(small, OWN, "uint8", "logits")
    added = [node.op_type for node in file.graph.node if node.name.startswith("input/")]
    assert "Transpose" not in added
    last = np.ascontiguousarray(preprocess(frames(OWN), OWN).transpose(0, 2, 3, 1))
    assert np.array_equal(run(file, frames(OWN))[0], run(small, last)[0])


def test_the_input_keeps_its_name_and_its_batch():
    file = attach_ends(core(OWN), OWN, "uint8", "logits")
    session = open_session(file, session_options(1), subject="small")
    (only,) = session.get_inputs()
    assert (only.name, only.type) == ("input", "tensor(uint8)")
    assert only.shape == ["batch", SIDE, SIDE, 3]
    for count in (1, 2, 5):
        assert len(run(file, frames(OWN, count))[0]) == count


def test_float_and_logits_leave_the_network_as_it_is():
    small = core(OWN)
    assert attach_ends(small, OWN, "float", "logits") == small


def test_the_core_is_not_changed():
    small = core(OWN, quantised=True)
    before = small.SerializeToString(deterministic=True)
    fix_batch(attach_ends(small, OWN, "uint8", "label"), 3)
    assert small.SerializeToString(deterministic=True) == before


def test_a_network_that_takes_float16_is_refused_in_one_sentence():
    small = core(OWN)
    small.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(ExportError, match=r"expected a float32 input .* found FLOAT16"):
        attach_ends(small, OWN, "uint8", "logits")


# -------------------------------------------------------------------------------------- output


@cache
def reference():
    """Logits and their softmax in float64."""
    (logits,) = run(core(OWN), preprocess(frames(OWN), OWN))
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return logits, exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("opset", OPSETS)
def test_scores_are_the_softmax_of_the_logits(opset):
    file = attach_ends(core(OWN, opset=opset), OWN, "uint8", "scores")
    (found,) = run(file, frames(OWN))
    assert [value.name for value in file.graph.output] == ["scores"]
    np.testing.assert_allclose(found, reference()[1], atol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("quantised", [False, True], ids=["float32", "int8"])
def test_a_label_comes_with_its_score(opset, quantised):
    small = core(OWN, opset=opset, quantised=quantised)
    (logits,) = run(small, preprocess(frames(OWN), OWN))
    label, score = run(attach_ends(small, OWN, "uint8", "label"), frames(OWN))
    (scores,) = run(attach_ends(small, OWN, "float", "scores"), preprocess(frames(OWN), OWN))
    assert label.dtype == np.int64 and label.tolist() == logits.argmax(axis=1).tolist()
    assert score.dtype == np.float32 and np.array_equal(score, scores.max(axis=1))


def test_of_equal_logits_the_first_is_the_label():
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13]> '
        "flat (float[batch,1,1,5] input) => (float[batch,5] logits) "
        "<int64[1] one = {1}, int64[1] two = {2}> "
        "{ a = Squeeze(input, one) logits = Squeeze(a, one) }"
    )
    spec = Preprocessing((1, 5), 1, (0.0,), (1.0,))
    rows = np.array([[1, 3, 3, 0, 3], [2, 2, 2, 2, 2], [0, 0, 1, 0, 1]], np.float32)
    label, score = run(attach_ends(graph, spec, "float", "label"), rows[:, None, None])
    assert label.tolist() == rows.argmax(axis=1).tolist() == [1, 0, 2]
    assert score[1] == pytest.approx(1 / 5)


def test_a_network_that_uses_our_names_inside_keeps_its_answers():
    small = core(OWN)
    for node in small.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = {"t0": "score", "logits": "label"}.get(name, name)
    small.graph.output[0].name = "label"
    label, score = run(attach_ends(small, OWN, "uint8", "label"), frames(OWN))
    logits, scores = reference()
    assert label.tolist() == logits.argmax(axis=1).tolist()
    np.testing.assert_allclose(score, scores.max(axis=1), atol=1e-6)


def softened(model):
    """The same network, ending in a Softmax as many files do."""
    (logits,) = model.graph.output
    model.graph.node.append(helper.make_node("Softmax", [logits.name], ["shares"], axis=-1))
    model.graph.node.append(helper.make_node("Identity", ["shares"], ["probabilities"]))
    logits.name = "probabilities"
    return model


def test_a_network_that_ends_in_a_softmax_gets_no_second_one():
    small = softened(core(OWN))
    assert ends_in_softmax(small) and not ends_in_softmax(core(OWN, quantised=True))
    logits, scores = reference()
    (found,) = run(attach_ends(small, OWN, "uint8", "scores"), frames(OWN))
    np.testing.assert_allclose(found, scores, atol=1e-6)
    label, score = run(attach_ends(small, OWN, "uint8", "label"), frames(OWN))
    assert label.tolist() == logits.argmax(axis=1).tolist()
    np.testing.assert_allclose(score, scores.max(axis=1), atol=1e-6)


def test_a_network_with_two_outputs_is_refused():
    small = core(OWN)
    small.graph.output.append(helper.make_tensor_value_info("t0", TensorProto.FLOAT, None))
    with pytest.raises(ExportError, match=r"small: expected one input .* and one output"):
        attach_ends(small, OWN, "float", "scores")


# --------------------------------------------------------------------------------------- batch


@pytest.mark.parametrize("quantised", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_fixed_batch_runs_at_its_size_and_refuses_others(quantised, count):
    small = core(OWN, quantised=quantised)
    file = fix_batch(attach_ends(small, OWN, "uint8", "label"), count)
    shapes = [v.type.tensor_type.shape.dim for v in (*file.graph.input, *file.graph.output)]
    assert [shape[0].dim_value for shape in shapes] == [count] * 3
    (expected,) = run(small, preprocess(frames(OWN, count), OWN))
    assert run(file, frames(OWN, count))[0].tolist() == expected.argmax(axis=1).tolist()
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.InvalidArgument, match="Got: 2"):
        run(file, frames(OWN, 2))


def test_a_fixed_batch_reaches_every_inner_shape():
    inner = onnx.shape_inference.infer_shapes(core(OWN, quantised=True))
    file = fix_batch(inner, 4)
    shapes = [value.type.tensor_type.shape.dim for value in file.graph.value_info]
    assert sum(shape[0].dim_value == 4 for shape in shapes if shape) > 10
    assert not any(size.dim_param for shape in shapes for size in shape)


def test_a_batch_that_is_fixed_already_is_not_fixed_at_another_number():
    with pytest.raises(ExportError, match=r"fixed at 3, found one fixed at 2; .* or give 2"):
        fix_batch(core(OWN, batch=2), 3)
