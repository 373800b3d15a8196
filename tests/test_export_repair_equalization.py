"""Cross-layer equalisation: which layers are pairs, by how much, and that nothing changes."""

import numpy as np
import onnx
import pytest

import exported
import proof_case
import repair_case
from compress_export.repair import load_rung
from compress_export.repair.neighbours import find_pairs, largest_columns, scale_pair
from compress_export.repair.rungs.equalization import factors


def names(model: onnx.ModelProto) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in find_pairs(model)]


def chain(between: str, result: str = "float[n, 4, 8, 8]", **weights) -> onnx.ModelProto:
    """Two convolutions of four channels with steps from `a` to `b` between them."""
    return proof_case.graph(
        f"""(float[n, 2, 8, 8] input) => ({result} logits) {{
            a = Conv (input, w1, b1)
            {between}
            logits = Conv (b, w2)
        }}""",
        w1=proof_case.weight(4, 2, 1, 1),
        b1=proof_case.weight(4),
        w2=proof_case.weight(4, 4, 1, 1, seed=1),
        **weights,
    )


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    for index, node in enumerate(model.graph.node):
        node.name = f"{index}/{node.op_type}"
    return model


# ------------------------------------------------------------------------------------------ pairs


def test_layers_with_a_relu_pooling_or_flattening_between_them_are_pairs():
    found = names(repair_case.network())
    assert found == [
        ("one/Conv", "two/Conv"),
        ("two/Conv", "three/Conv"),
        ("three/Conv", "head/Gemm"),
    ]


@pytest.mark.parametrize(
    ("between", "weights"),
    [
        ("b = Relu (a)", {}),
        ("b = LeakyRelu <alpha = 0.1> (a)", {}),
        ("b = Identity (a)", {}),
        ("c = Relu (a) b = MaxPool <kernel_shape = [2, 2]> (c)", {}),
        ("b = Clip (a, low)", {"low": np.float32(0)}),
    ],
)
def test_steps_that_a_positive_factor_passes_are_passed(between, weights):
    model = named(chain(between, "float[n, 4, p, q]", **weights))
    assert len(find_pairs(model)) == 1
    assert_equal_after_scaling(model, np.array([0.5, 3, 7, 0.01]), exported_images(2, 8))


@pytest.mark.parametrize(
    ("between", "weights"),
    [
        ("b = Clip (a, low, high)", {"low": np.float32(0), "high": np.float32(6)}),
        ("b = Clip (a, low)", {"low": np.float32(-1)}),
        ("b = Sigmoid (a)", {}),
        ("c = Relu (a) b = Add (a, c)", {}),
    ],
)
def test_bounds_curves_and_other_readers_end_the_search(between, weights):
    assert find_pairs(named(chain(between, **weights))) == ()


def test_a_tensor_that_is_an_output_is_left_alone():
    model = named(chain("b = Relu (a)"))
    value = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, ["n", 4, 8, 8])
    model.graph.output.append(value)
    assert find_pairs(model) == ()


# ---------------------------------------------------------------------------------------- factors


def test_before_a_depthwise_layer_every_channel_gets_the_whole_range():
    np.testing.assert_allclose(factors(np.array([8.0, 2.0, 1.0]), None), [1, 4, 8])


def test_a_channel_is_weighed_against_what_the_next_layer_makes_of_it():
    """sqrt(c / r) is 1/2 and 1: twice as much for the second, and the first stays largest."""
    np.testing.assert_allclose(factors(np.array([4.0, 1.0]), np.array([1.0, 1.0])), [1, 2])
    np.testing.assert_allclose(factors(np.array([4.0, 1.0]), np.array([1.0, 0.25])), [1, 1])


def test_the_largest_channel_keeps_its_size():
    peaks, columns = np.array([5.0, 0.3, 1.0]), np.array([0.2, 1.0, 0.5])
    assert (factors(peaks, columns) * peaks).max() == pytest.approx(5.0)


def test_a_dead_channel_is_not_blown_up_without_end():
    assert factors(np.array([1.0, 0.0]), None).tolist() == [1, 1024]
    assert factors(np.zeros(2), None).tolist() == [1, 1]
    assert np.isfinite(factors(np.array([1.0, 0.0]), np.array([0.0, 0.0]))).all()


def test_columns_are_measured_beside_the_largest_weight_of_their_row():
    """Rows [4, 2] and [1, 3]: shares [1, 1/2] and [1/3, 1]."""
    model = named(chain("b = Relu (a)"))
    (pair,) = find_pairs(model)
    weight = np.zeros((4, 4, 1, 1), np.float32)
    weight[0, :2, 0, 0], weight[1, :2, 0, 0] = (4, -2), (1, 3)
    model.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(weight, "w2"))
    np.testing.assert_allclose(largest_columns(model.graph, pair), [1, 1, 0, 0])
    weight[1] = 0
    model.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(weight, "w2"))
    np.testing.assert_allclose(largest_columns(model.graph, pair), [1, 0.5, 0, 0])


def test_a_depthwise_layer_has_a_scale_for_every_channel():
    model = repair_case.network()
    assert largest_columns(model.graph, find_pairs(model)[0]) is None


# ------------------------------------------------------------------------------------- exactness


def test_a_whole_network_answers_as_before():
    model = repair_case.network()
    assert_equal_after_scaling(model, np.geomspace(0.01, 100, 8), exported.inputs(16))


def test_groups_of_a_convolution_take_their_own_channels():
    model = proof_case.graph(
        """(float[n, 2, 8, 8] input) => (float[n, 6, 8, 8] logits) {
            a = Conv (input, w1)
            b = Relu (a)
            logits = Conv <group = 2> (b, w2)
        }""",
        ("one/Conv", "relu/Relu", "two/Conv"),
        w1=proof_case.weight(4, 2, 1, 1),
        w2=proof_case.weight(6, 2, 1, 1, seed=1),
    )
    assert_equal_after_scaling(model, np.array([0.5, 3, 7, 0.01]), exported_images(2, 8))
    (pair,) = find_pairs(model)
    assert largest_columns(model.graph, pair).shape == (4,)


@pytest.mark.parametrize("head", ["Gemm (d, w2)", "Gemm <transB = 1> (d, w2t)", "MatMul (d, w2)"])
def test_flattened_positions_share_the_factor_of_their_channel(head):
    weight = proof_case.weight(16, 3, seed=1)
    extra = {"w2t": weight.T.copy()} if "w2t" in head else {"w2": weight}
    model = proof_case.graph(
        f"""(float[n, 2, 4, 4] input) => (float[n, 3] logits) {{
            a = Conv (input, w1)
            b = Relu (a)
            c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
            d = Flatten (c)
            logits = {head}
        }}""",
        ("one/Conv", "relu/Relu", "pool/MaxPool", "flat/Flatten", "head/Gemm"),
        w1=proof_case.weight(4, 2, 1, 1),
        **extra,
    )
    assert find_pairs(model)[0].spread == 4
    assert_equal_after_scaling(model, np.array([0.5, 3, 7, 0.01]), exported_images(2, 4))


def test_what_a_weight_is_shared_with_is_not_scaled():
    """Both convolutions read one weight; the first is scaled by rows, the second by columns."""
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 8, 8] logits) {
            a = Conv (input, w)
            b = Relu (a)
            logits = Conv (b, w)
        }""",
        ("one/Conv", "relu/Relu", "two/Conv"),
        w=proof_case.weight(4, 4, 1, 1),
    )
    assert_equal_after_scaling(model, np.array([0.5, 3, 7, 0.01]), exported_images(4, 8))


def assert_equal_after_scaling(model: onnx.ModelProto, scales: np.ndarray, images) -> None:
    before = answers(model, images)
    scaled = onnx.ModelProto()
    scaled.CopyFrom(model)
    for pair in find_pairs(model):
        scale_pair(scaled, pair, scales)
    onnx.checker.check_model(scaled, full_check=True)
    found = answers(scaled, images)
    np.testing.assert_allclose(found, before, rtol=1e-4, atol=1e-5 * np.abs(before).max())


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return repair_case.answers(model, images).reshape(len(images), -1)


def exported_images(channels: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (5, channels, size, size)).astype(np.float32)


# -------------------------------------------------------------------------------------- the rung


def test_channels_of_unlike_size_are_equalised_and_float32_stays(tmp_path):
    core = repair_case.network(1e4)
    case = repair_case.case(core, tmp_path, calibration="minmax")
    found = case.look(repair_case.plain(case))
    rung = load_rung("equalization")
    assert rung.why_not(case, found) == ""
    attempt, said = rung.repair(case, found)
    assert said == "3 pairs of layers"
    np.testing.assert_allclose(
        repair_case.answers(attempt.core, exported.inputs(16)),
        repair_case.answers(core, exported.inputs(16)),
        atol=1e-3,
    )
    assert case.look(attempt).kl < 0.05 * found.kl


def test_after_a_bias_correction_the_biases_are_corrected_again(tmp_path):
    core = repair_case.network(1e4)
    case = repair_case.case(core, tmp_path, calibration="minmax")
    corrected, _ = load_rung("bias_correction").repair(case, case.look(repair_case.plain(case)))
    found = case.look(corrected)
    attempt, said = load_rung("equalization").repair(case, found)
    if corrected.exact is not None:
        assert said.endswith("biases corrected again")
    np.testing.assert_allclose(
        repair_case.answers(attempt.reference, exported.inputs(8)),
        repair_case.answers(core, exported.inputs(8)),
        atol=1e-3,
    )


def test_where_no_layers_are_pairs_the_rung_says_why(tmp_path):
    model = proof_case.graph(
        """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = Conv (input, w)
            b = GlobalAveragePool (a)
            logits = Flatten (b)
        }""",
        ("one/Conv", "pool/GlobalAveragePool", "flat/Flatten"),
        w=proof_case.weight(3, 1, 3, 3),
    )
    case = repair_case.case(model, tmp_path, calibration="minmax")
    found = case.look(repair_case.plain(case))
    assert load_rung("equalization").why_not(case, found).startswith("no two layers follow")
