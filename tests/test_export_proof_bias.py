"""32-bit sums of a quantised graph, audited without running it, and runs that show why."""

import numpy as np
import pytest
from onnx import numpy_helper

import proof_case
from compress.errors import ExportError
from compress_export.proof.bias import LARGEST_BIAS, audit_bias, bias_safe_scales, refuse_overflow
from compress_export.quantizers.pair_safe import count_saturating_pairs
from compress_export.session import open_session, session_options


def written(weights, bias, *, zero_point=0, sx=0.5, sw=0.25, bias_scale=None, kind=np.uint8):
    """A product [K] -> [O] as a quantiser would write it; all integers are given."""
    weights = np.asarray(weights, np.int8)
    scale = np.float32(sx * sw if bias_scale is None else bias_scale)
    return proof_case.graph(
        f"""(float[n, {len(weights)}] input) => (float[n, {weights.shape[1]}] logits) {{
            q = QuantizeLinear (input, sx, zx)
            d = DequantizeLinear (q, sx, zx)
            w = DequantizeLinear (wq, sw, zw)
            b = DequantizeLinear (bq, sb, zb)
            y = Gemm (d, w, b)
            p = QuantizeLinear (y, sy, zy)
            logits = DequantizeLinear (p, sy, zy)
        }}""",
        ("q", "d", "w", "b", "fc/Gemm", "p", "e"),
        sx=np.float32(sx),
        zx=kind(zero_point),
        wq=weights,
        sw=np.float32(sw),
        zw=np.int8(0),
        bq=np.asarray(bias, np.int32),
        sb=scale,
        zb=np.int32(0),
        sy=np.float32(1),
        zy=np.uint8(0),
    )


def layer(*args, **keywords):
    (found,) = audit_bias(written(*args, **keywords)).layers
    return found


# ------------------------------------------------------------------------------- worked by hand


def test_the_largest_sum_takes_white_where_weights_are_positive_and_black_elsewhere():
    """Zero point 0: 255 * (3 + 5) + 7 = 2047, beyond 255 * 2 - 7."""
    found = layer([[3], [-2], [5]], [7])
    assert found.node == "fc/Gemm"
    assert found.largest_sum == 2047 / 2**31
    assert found.largest_bias == 7 / 2**31


def test_the_zero_point_moves_what_an_input_can_be():
    """Zero point 200, inputs -200 to 55: the lowest is -200 * 8 - 55 * 2 - 7 = -1717."""
    assert layer([[3], [-2], [5]], [-7], zero_point=200).largest_sum == 1717 / 2**31


def test_int8_inputs_run_from_minus_128():
    """Zero point 0: -128 * 3 - 1 = -385, beyond 127 * 3 - 1."""
    assert layer([[3]], [-1], kind=np.int8).largest_sum == 385 / 2**31


@pytest.mark.parametrize(
    ("bias", "overflowing"), [(2**31 - 1 - 255, 0), (2**31 - 255, 1), (-(2**31), 0)]
)
def test_a_sum_fits_to_the_last_unit(bias, overflowing):
    found = layer([[1], [0]], [bias])
    assert found.overflowing_sums == overflowing


def test_each_output_channel_is_looked_at():
    assert layer([[1, 1, 1]], [2**31 - 1, 0, 2**31 - 2]).overflowing_sums == 2


def test_a_bias_at_the_end_of_the_range_was_cut():
    assert layer([[0, 0, 0]], [2**31 - 1, -(2**31), 2**31 - 2]).saturated_biases == 2


def test_the_float_graph_shows_a_bias_that_was_cut():
    """3e9 steps of 0.5 * 0.25 do not fit, whatever was written."""
    model = written([[1, 1]], [5, 5])
    exact = proof_case.graph(
        "(float[n, 1] input) => (float[n, 2] logits) { logits = Gemm (input, w, b) }",
        ("fc/Gemm",),
        w=np.ones((1, 2), np.float32),
        b=np.array([3e9 * 0.125, 5 * 0.125], np.float32),
    )
    (found,) = audit_bias(model, exact).layers
    assert found.saturated_biases == 1
    assert found.largest_bias == pytest.approx(3e9 / 2**31)


def test_a_bias_of_another_scale_than_its_kernel_takes_is_found():
    """Kernels read the bias as steps of input scale times weight scale, whatever is written."""
    assert layer([[1]], [5], bias_scale=0.2).unlike_scales == 1
    assert layer([[1]], [5]).unlike_scales == 0
    assert layer([[1]], [0], bias_scale=0.2).unlike_scales == 0  # nothing times anything


def test_a_float_bias_is_audited_as_it_will_be_quantised():
    model = written([[1]], [0])
    graph = model.graph
    kept = [node for node in graph.node if node.name != "b"]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.append(numpy_helper.from_array(np.array([4e8], np.float32), "b"))
    (found,) = audit_bias(model).layers
    assert found.saturated_biases == 1


def test_pairs_that_overflow_are_told_by_layer():
    """127 + 2 = 129 does, 127 + 1 does not; a column is a channel."""
    model = written([[127, 127], [2, 1]], [0, 0])
    (found,) = audit_bias(model).layers
    assert found.saturating_pairs == count_saturating_pairs(model) == 1


def test_layers_past_half_the_range_are_near():
    assert audit_bias(written([[1]], [LARGEST_BIAS + 1])).near != ()
    assert audit_bias(written([[1]], [LARGEST_BIAS - 256])).near == ()


def test_a_file_with_faults_is_refused_and_another_is_not():
    refuse_overflow(audit_bias(written([[1]], [5])), subject="student.int8.onnx")
    with pytest.raises(ExportError, match=r"student\.int8\.onnx: .* fc/Gemm .*1 channels that can"):
        refuse_overflow(audit_bias(written([[1]], [2**31 - 2])), subject="student.int8.onnx")


def test_every_layer_of_a_network_is_audited():
    found = audit_bias(proof_case.quantized(proof_case.gated()), proof_case.gated())
    assert [layer.node for layer in found.layers] == ["features.0.0/Conv", "features.1/Conv"]
    for fault in ("saturated_biases", "overflowing_sums", "unlike_scales", "saturating_pairs"):
        assert found.total(fault) == 0


# --------------------------------------------------------------------------- what onnxruntime does


def answers(model, inputs):
    session = open_session(model.SerializeToString(), session_options(1), subject="net")
    return session.run(None, {"input": inputs})[0]


def test_a_sum_that_the_audit_refuses_wraps_around_in_onnxruntime():
    """With output steps of 2**24 the answer should be near 128, and is cut to 0."""
    inputs = np.full((1, 1), 255 * 0.5, np.float32)
    found = {}
    for bias in (2**31 - 1 - 127 * 255, 2**31 - 100):
        model = written([[127]], [bias])
        for tensor in model.graph.initializer:
            if tensor.name == "sy":
                step = np.float32(0.125 * 2**24)
                tensor.CopyFrom(numpy_helper.from_array(step, "sy"))
        fits = audit_bias(model).total("overflowing_sums") == 0
        found[fits] = float(answers(model, inputs)[0, 0]) / (0.125 * 2**24)
    assert found == {True: 128.0, False: 0.0}


def test_safe_scales_leave_ordinary_layers_as_they_are():
    scales = np.array([0.01, 0.02], np.float32)
    same = bias_safe_scales(scales, np.array([3, -5], np.float32), 0.1)
    assert same.tolist() == scales.tolist()


def test_safe_scales_hold_a_bias_to_half_the_range():
    biases = np.array([1e3, -1e6, 0], np.float32)
    scales = bias_safe_scales(np.full(3, 1e-9, np.float32), biases, 0.1)
    steps = np.abs(biases.astype(np.float64)) / (0.1 * scales.astype(np.float64))
    assert (steps[:2] > 0.999 * LARGEST_BIAS).all()
    assert (steps <= LARGEST_BIAS).all()
    assert scales[2] == np.float32(1e-9)


@pytest.mark.parametrize("safe", [False, True])
def test_a_scale_at_which_the_bias_just_fits_is_not_enough(safe):
    """64 weights of 3e-5 beside a bias of 2: the library's rule makes the answer 0."""
    sx, bias = 1 / 255, 2.0
    scale = np.array([3e-5 / 127], np.float32)
    if safe:
        scale = bias_safe_scales(scale, np.array([bias], np.float32), sx)
    else:
        scale = np.maximum(scale, np.float32(1.0001 * bias / (sx * 2**31)))
    step = sx * float(scale[0])
    weights = np.full((64, 1), np.rint(3e-5 / float(scale[0])))
    model = written(weights, [int(np.rint(bias / step))], sx=sx, sw=float(scale[0]))
    output = next(tensor for tensor in model.graph.initializer if tensor.name == "sy")
    output.CopyFrom(numpy_helper.from_array(np.float32(2.2 / 255), "sy"))
    (found,) = answers(model, np.ones((1, 64), np.float32))
    assert (audit_bias(model).total("overflowing_sums") == 0) == safe
    assert (abs(float(found[0]) - (bias + 64 * 3e-5)) < 2.2 / 255) == safe
