"""Bias correction by numbers that are worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

import exported
import proof_case
import repair_case
from compress_export.quantizers.pair_projection import SafeWeight
from compress_export.repair import load_rung
from compress_export.repair.biases import correct_biases, correctable, shift_biases, with_twins
from compress_export.repair.case import Attempt
from compress_export.repair.watching import watch


def constants(model) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def bias_of(model, name: str) -> np.ndarray:
    node = next(node for node in model.graph.node if node.name == name)
    return constants(model)[node.input[2]]


def off_by(attempt: Attempt, name: str, error: float) -> Attempt:
    """The attempt with every weight of a layer that much too large, in the steps it has."""
    safe = attempt.weights[name]
    scales = np.full_like(safe.scales, error)
    values = np.rint(safe.weight.values / error).astype(np.float32) * np.float32(error)
    moved = SafeWeight(safe.weight, scales, values + np.float32(error))
    return replace(attempt, weights={**attempt.weights, name: moved})


def linear() -> object:
    """One layer of an image's mean: three times a quarter of it."""
    return proof_case.graph(
        """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = GlobalAveragePool (input)
            b = Conv (a, w)
            logits = Flatten (b)
        }""",
        ("pool/GlobalAveragePool", "head/Conv", "flat/Flatten"),
        w=np.full((3, 1, 1, 1), 0.25, np.float32),
    )


def test_a_layer_without_a_bias_gets_one_and_others_keep_theirs():
    model = repair_case.network()
    shifted = shift_biases(model, {"one/Conv": np.arange(8.0)})
    np.testing.assert_array_equal(bias_of(shifted, "one/Conv"), np.arange(8.0))
    np.testing.assert_array_equal(bias_of(shifted, "two/Conv"), constants(model)["b2"])
    assert len(model.graph.node[0].input) == 2  # the original is as it was


def test_a_shift_is_added_to_the_bias():
    model = repair_case.network()
    shifted = shift_biases(model, {"two/Conv": np.full(8, 2.0)})
    np.testing.assert_allclose(bias_of(shifted, "two/Conv"), constants(model)["b2"] + 2)
    image = exported.inputs(1)
    assert not np.allclose(
        repair_case.answers(shifted, image), repair_case.answers(model, image), atol=1e-3
    )


def test_convolutions_and_linear_layers_can_be_corrected():
    names = ("one/Conv", "two/Conv", "three/Conv", "head/Gemm")
    assert correctable(repair_case.network().graph) == names


def test_a_gemm_that_scales_its_bias_is_left_alone():
    model = proof_case.graph(
        """(float[n, 4] x) => (float[n, 3] y) { y = Gemm <beta = 2.0> (x, w, b) }""",
        ("head/Gemm",),
        w=proof_case.weight(4, 3),
        b=np.zeros(3, np.float32),
    )
    assert correctable(model.graph) == ()


def test_a_twin_shows_what_the_errors_of_the_weights_add(tmp_path):
    """Weights too large by 1/4, 0 and -1/4, inputs of -1."""
    model = linear()
    attempt = _attempt(model, tmp_path)
    watched, twins = with_twins(attempt.graph(), model)
    assert list(twins) == ["head/Conv"]
    images = np.full((2, 1, 16, 16), -1, np.float32)
    ((found,),) = watch(watched, list(twins.values()), [images], 1)
    assert found.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(found[1, :, 0, 0], [-0.25, 0, 0.25], atol=0.004)  # steps of 4 / 255


def test_a_known_shift_is_taken_off_the_bias(tmp_path):
    """Weights too large by 1/4, 0 and -1/4, a mean input m: biases of -m / 4, 0 and m / 4."""
    model = linear()
    case = repair_case.case(model, tmp_path, calibration="minmax")
    attempt = _attempt(model, tmp_path)
    corrected, said = correct_biases(case, attempt)
    batches = case.calibration_inputs(model, 256, "")
    mean = np.concatenate(list(batches)).mean()
    wanted = np.array([-mean / 4, 0, mean / 4])
    np.testing.assert_allclose(bias_of(corrected.core, "head/Conv"), wanted, atol=0.004)
    assert said.startswith("1 layer")
    assert corrected.reference is model


def test_correcting_twice_starts_from_the_trained_biases(tmp_path):
    model = linear()
    case = repair_case.case(model, tmp_path, calibration="minmax")
    once, _ = correct_biases(case, _attempt(model, tmp_path))
    twice, _ = correct_biases(case, once)
    np.testing.assert_allclose(
        bias_of(twice.core, "head/Conv"), bias_of(once.core, "head/Conv"), atol=1e-3
    )


def test_the_rung_brings_a_network_with_shifted_weights_nearer_to_float32(tmp_path):
    core = repair_case.network()
    case = repair_case.case(core, tmp_path, calibration="minmax")
    found = case.look(off_by(repair_case.plain(case), "w3", 0.02))
    rung = load_rung("bias_correction")
    assert rung.why_not(case, found) == ""
    attempt, _ = rung.repair(case, found)
    assert case.look(attempt).kl < 0.5 * found.kl
    assert attempt.found is found.attempt.found


def test_a_network_of_products_alone_has_nothing_to_correct(tmp_path):
    model = proof_case.graph(
        """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = Flatten (input)
            logits = MatMul (a, w)
        }""",
        ("flat/Flatten", "head/MatMul"),
        w=proof_case.weight(256, 3),
    )
    case = repair_case.case(model, tmp_path, calibration="minmax")
    found = case.look(repair_case.plain(case))
    assert load_rung("bias_correction").why_not(case, found).startswith("no convolution")


def _attempt(model, folder) -> Attempt:
    """Plain int8, but for weights of 1/2, 1/4 and 0 in place of 1/4."""
    attempt = repair_case.plain(repair_case.case(model, folder, calibration="minmax"))
    weight = attempt.weights["w"].weight
    values = np.array([0.5, 0.25, 0], np.float32).reshape(3, 1, 1, 1)
    return replace(
        attempt, weights={"w": SafeWeight(weight, np.full(3, 1 / 128, np.float32), values)}
    )


@pytest.mark.parametrize("count", [1, 5, 20])
def test_portions_hold_every_image_once(count):
    images = exported.inputs(count)
    model = repair_case.network()
    seen = [rows for (rows,) in watch(model, ["input"], [images[:3], images[3:]], 1)]
    np.testing.assert_array_equal(np.concatenate(seen), images)
