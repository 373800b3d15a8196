"""The int8 file: integer from end to end, exact on every CPU, and close to float32."""

import logging
from collections import Counter
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import exported
import tiny
from compress.errors import ExportError
from compress.preprocess import preprocess
from compress_export.proof.bias import audit_bias
from compress_export.proof.census import take_census
from compress_export.quantizers.pair_safe import (
    Weight,
    count_saturating_pairs,
    pair_safe_scales,
    refuse_saturation,
    weights_of,
)
from compress_export.quantizers.static_qdq import quantize
from compress_export.session import (
    AS_WRITTEN,
    open_session,
    run_logits,
    session_options,
)


def _session(path):
    return open_session(path, session_options(1), subject=path.name)


def _int8_weights() -> dict[str, np.ndarray]:
    tensors = {t.name: numpy_helper.to_array(t) for t in exported.int8_graph().graph.initializer}
    return {n: v for n, v in tensors.items() if v.dtype == np.int8 and v.ndim > 1}


# ---------------------------------------------------------------------------------- the file


def test_activations_are_uint8_and_weights_int8_with_zero_point_0():
    graph = exported.int8_graph().graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            assert tensors[node.input[2]].dtype == np.uint8
            assert tensors[node.input[1]].ndim == 0  # one scale a tensor
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            weight, zero_point = tensors[node.input[0]], tensors[node.input[2]]
            assert weight.dtype in (np.int8, np.int32)  # weights, biases
            assert not zero_point.any()


def test_each_output_channel_of_a_weight_has_its_own_scale():
    tensors = {t.name: numpy_helper.to_array(t) for t in exported.int8_graph().graph.initializer}
    for name, weight in _int8_weights().items():
        assert tensors[name.replace("_quantized", "_scale")].shape == (len(weight),)


def test_no_float_weight_is_left_in_the_file():
    floats = [
        t.name
        for t in exported.int8_graph().graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and not t.name.endswith("_scale")
    ]
    assert floats == []


def test_onnxruntime_computes_every_layer_in_integers():
    census = take_census(exported.int8_file())
    assert (census.integer_convolutions, census.convolutions) == (4, 4)
    assert (census.integer_products, census.products) == (1, 1)
    assert (census.quantize_nodes, census.dequantize_nodes) == (1, 1)  # at the two ends
    assert census.float_operators == {}


def test_a_float_island_is_counted_and_named(tmp_path):
    graph = onnx.ModelProto()
    graph.CopyFrom(exported.float_graph())
    pool = next(n for n in graph.graph.node if n.op_type == "GlobalAveragePool")
    island = onnx.helper.make_node("HardSwish", [pool.input[0]], ["island"], "island")
    graph.graph.node.insert(list(graph.graph.node).index(pool), island)
    pool.input[0] = "island"
    graph = onnx.shape_inference.infer_shapes(graph)
    quantized = quantize(graph, exported.ranges(graph, [exported.inputs()]))
    onnx.save(quantized, tmp_path / "island.onnx")
    census = take_census(tmp_path / "island.onnx")
    assert census.integer_convolutions == census.convolutions == 4
    assert sum(census.float_operators.values()) > 0
    assert (census.quantize_nodes, census.dequantize_nodes) == (2, 2)


def test_int8_answers_are_close_to_float32():
    images = exported.inputs(48)
    exact = run_logits(_session(exported.float_file()), images)
    found = run_logits(_session(exported.int8_file()), images)
    noise_decibel = 10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum())
    assert noise_decibel > 25
    assert (exact.argmax(1) == found.argmax(1)).mean() >= 47 / 48


def test_the_fused_graph_is_within_one_output_step_of_the_written_one():
    images = exported.inputs(48)
    fused = run_logits(_session(exported.int8_file()), images)
    options = session_options(1, AS_WRITTEN)
    written = run_logits(open_session(exported.int8_file(), options, subject="int8"), images)
    scales = {t.name: numpy_helper.to_array(t) for t in exported.int8_graph().graph.initializer}
    step = float(scales["logits_scale"])
    assert np.abs(fused - written).max() <= 2.01 * step


def test_the_same_ranges_give_the_same_bytes():
    graph = exported.float_graph()
    batches = np.split(preprocess(tiny.images(96, 1)[0], exported.SPEC), 4)
    again = quantize(graph, exported.ranges(graph, batches))
    assert again.SerializeToString(deterministic=True) == exported.int8_graph().SerializeToString(
        deterministic=True
    )


def test_the_file_keeps_what_it_says_of_itself_and_no_note_of_the_library():
    before = {p.key: p.value for p in exported.float_graph().metadata_props}
    after = {p.key: p.value for p in exported.int8_graph().metadata_props}
    assert after == before


def test_quantising_says_nothing_and_leaves_the_log_level(capfd, caplog):
    level = logging.getLogger().level
    graph = exported.float_graph()
    quantize(graph, exported.ranges(graph, [exported.inputs(4)]))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert logging.getLogger().level == level


# --------------------------------------------------------------------------------- pair safety


def test_no_two_neighbours_can_overflow_sixteen_bits():
    """Worked out without our own helpers: worst case 255 * (w1 + w2) within int16."""
    weights = _int8_weights()
    assert len(weights) == 5
    for name, weight in weights.items():
        if name.startswith("depthwise"):
            continue
        for channel in weight.astype(int):
            order = channel.transpose(1, 2, 0) if channel.ndim == 3 else channel  # kh, kw, ic
            flat = order.ravel().tolist()
            for one, two in pairwise(flat):
                if one * two > 0:
                    assert -32768 <= 255 * (one + two) <= 32767


def test_depthwise_weights_use_the_full_range():
    (weight,) = (w for n, w in _int8_weights().items() if n.startswith("depthwise"))
    assert weight.shape == (16, 1, 3, 3)
    assert (np.abs(weight.reshape(16, -1)).max(axis=1) >= 115).all()  # a scale up to 1.1 larger


def test_scales_are_the_smallest_that_are_safe():
    """Alone a weight may reach 127; a pair of one sign may sum to 127 before rounding."""
    values = np.array([[1.0, -1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [-0.5, -0.25, 1.0, 0.0]])
    weight = Weight("w", 0, values.astype(np.float32), exempt=False)
    np.testing.assert_allclose(pair_safe_scales(weight), np.array([1, 2, 1]) / 127, rtol=1e-6)


def test_a_channel_of_zeros_has_a_usable_scale():
    weight = Weight("w", 0, np.zeros((1, 4), np.float32), exempt=False)
    assert pair_safe_scales(weight)[0] > 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.floats(-1e3, 1e3, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6),
        min_size=2,
        max_size=9,
    )
)
def test_any_row_of_weights_is_safe_after_rounding(row):
    values = np.array([row], dtype=np.float32)
    (scale,) = pair_safe_scales(Weight("w", 0, values, exempt=False))
    rounded = np.rint(values / scale).astype(int)[0]
    assert np.abs(rounded).max() <= 127
    for one, two in pairwise(rounded):
        assert one * two <= 0 or abs(one + two) <= 128


def test_neighbours_follow_kernel_rows_then_columns_then_input_channels():
    values = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)  # [out, in, kh, kw]
    rows = Weight("w", 0, values, exempt=False).rows()
    assert rows.tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]


def test_the_audit_counts_pairs_that_can_overflow():
    graph = onnx.ModelProto()
    graph.CopyFrom(exported.int8_graph())
    assert count_saturating_pairs(graph) == 0
    head = next(t for t in graph.graph.initializer if t.name == "head.weight_quantized")
    values = numpy_helper.to_array(head).copy()
    values[0, :3] = (100, 29, 99)  # 129 overflows, 128 does not
    values[0, 3] = -128
    head.CopyFrom(numpy_helper.from_array(values, head.name))
    assert count_saturating_pairs(graph) == 1


def test_only_true_depthwise_convolutions_are_exempt():
    exempt = {w.name: w.exempt for w in weights_of(exported.float_graph())}
    assert Counter(exempt.values()) == {False: 4, True: 1}
    assert exempt["depthwise.0.weight"]


def test_a_file_whose_pairs_can_overflow_is_never_written():
    """100 and 100 are next to each other: 255 * 200 is more than 32767."""
    weight = np.array([[100], [100], [-100]], np.int8)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w", "scale"], ["float_w"]),
            helper.make_node("MatMul", ["input", "float_w"], ["logits"]),
        ],
        "overflowing",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.float32(1), "scale")],
    )
    pairs = count_saturating_pairs(helper.make_model(graph))
    assert pairs == 1  # 100 and -100 always fit
    with pytest.raises(ExportError, match=r"student\.int8\.onnx: .* found 1 adjacent pairs"):
        refuse_saturation(pairs, subject="student.int8.onnx")
    refuse_saturation(0, subject="student.int8.onnx")


# -------------------------------------------------------------------------------- 32-bit sums

TINY_WEIGHTS = """
<ir_version: 8, opset_import: ["" : 18]>
main (float[batch, 64, 8, 8] input) => (float[batch, 8, 8, 8] logits)
<float[8, 64, 3, 3] w, float[8] b> { logits = Conv <pads = [1, 1, 1, 1]> (input, w, b) }
"""


def test_a_large_bias_beside_tiny_weights_leaves_room_for_the_sum():
    """Left to the library the bias fills all 32 bits, and each sum wraps around: 254 steps off."""
    graph = onnx.parser.parse_model(TINY_WEIGHTS)
    rng = np.random.default_rng(0)
    tensors = {"w": rng.normal(0, 1e-5, (8, 64, 3, 3)), "b": np.linspace(1.33, 5.3, 8)}
    for name, values in tensors.items():
        graph.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    images = rng.uniform(0, 255, (4, 64, 8, 8)).astype(np.float32)
    quantized = quantize(graph, exported.ranges(graph, [images]))
    assert audit_bias(quantized, graph).total("overflowing_sums") == 0
    options = session_options(1)
    exact, found = (
        run_logits(open_session(g, options, subject="tiny weights"), images)
        for g in (graph, quantized)
    )
    steps = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    assert np.abs(exact - found).max() <= 1.01 * float(steps["logits_scale"])


CONSTANT_PRODUCTS = """
<ir_version: 8, opset_import: ["" : 18]>
main (float[batch, 2, 4] input) => (float[batch, 2, 4] logits)
<float[2, 4, 4] batched, float[4, 4] flat, float[2, 2] first> {
    [one] a = MatMul (input, batched)
    [two] b = MatMul (a, flat)
    [three] logits = MatMul (first, b)
}
"""


def test_products_whose_constants_nothing_keeps_safe_stay_float():
    graph = onnx.parser.parse_model(CONSTANT_PRODUCTS)
    rng = np.random.default_rng(0)
    for name, shape in (("batched", (2, 4, 4)), ("flat", (4, 4)), ("first", (2, 2))):
        values = rng.normal(size=shape).astype(np.float32)
        graph.graph.initializer.append(numpy_helper.from_array(values, name))
    images = rng.normal(size=(8, 2, 4)).astype(np.float32)
    quantized = quantize(graph, exported.ranges(graph, [images]))
    kept = {t.name: t.data_type for t in quantized.graph.initializer}
    assert kept["batched"] == kept["first"] == onnx.TensorProto.FLOAT
    assert kept["flat_quantized"] == onnx.TensorProto.INT8
    assert count_saturating_pairs(quantized) == 0


@pytest.mark.parametrize("rank", [3, 5])
def test_convolutions_of_lines_and_volumes_are_safe_too(rank):
    kernel = (3,) * (rank - 2)
    values = np.random.default_rng(rank).normal(size=(4, 6, *kernel)).astype(np.float32)
    weight = Weight("w", 0, values, exempt=False)
    assert weight.rows().shape == (4, 6 * 3 ** (rank - 2))
    np.testing.assert_array_equal(weight.from_rows(weight.rows()), values)
    first = values[(0, slice(None), *(0 for _ in kernel))]  # all input channels at one place
    np.testing.assert_array_equal(weight.rows()[0, :6], first)
