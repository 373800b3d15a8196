"""Layers left in float: which there are, which suffer, and what the file then holds."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import exported
import proof_case
import repair_case
from compress_export.quantizers.pair_projection import SafeWeight
from compress_export.quantizers.pair_safe import weights_of
from compress_export.quantizers.static_qdq import quantize
from compress_export.repair import load_rung
from compress_export.repair.case import Attempt, Case
from compress_export.repair.float_groups import find_groups
from compress_export.repair.rungs.float_layers import rank, sensitivities

RUNG = load_rung("float_layers")


def spoiled(case: Case, name: str) -> Attempt:
    """Plain int8, but for one weight that is rounded to three values."""
    attempt = repair_case.plain(case)
    weight = attempt.weights[name].weight
    scale = np.abs(weight.values).max()
    values = np.rint(weight.values / scale).astype(np.float32) * scale
    scales = np.full_like(attempt.weights[name].scales, scale)
    return replace(attempt, weights={**attempt.weights, name: SafeWeight(weight, scales, values)})


@pytest.fixture
def case(tmp_path) -> Case:
    core = repair_case.network()
    return repair_case.case(core, tmp_path, calibration="minmax", max_drop=0.0)


# ----------------------------------------------------------------------------------------- groups


def test_groups_are_layers_alone_and_what_touches_a_tensor():
    found = {group.nodes for group in find_groups(repair_case.network())}
    assert ("one/Conv",) in found
    assert ("head/Gemm",) in found
    assert ("one/Conv", "one/Relu", "two/Conv") in found
    assert ("head/Gemm",) in found  # with the logits, which nobody else reads


def test_the_layers_of_a_group_name_it_by_their_modules():
    groups = {group.nodes: group for group in find_groups(repair_case.network())}
    group = groups["one/Conv", "one/Relu", "two/Conv"]
    assert group.layers == ("one/Conv", "two/Conv")
    assert group.title() == "one, two"


def test_multiply_adds_are_positions_times_weights():
    """16 x 16 positions of 8 x 9 weights; 8 x 8 weights; a head of 3 x 8 weights, once."""
    groups = {group.nodes: group.macs for group in find_groups(repair_case.network())}
    assert groups["one/Conv",] == 256 * 72
    assert groups["three/Conv",] == 256 * 64
    assert groups["head/Gemm",] == 24


def test_what_is_in_float_already_is_in_no_group():
    groups = find_groups(repair_case.network(), ("two/Conv",))
    assert groups
    assert all("two/Conv" not in group.nodes for group in groups)


def test_a_tensor_that_many_layers_read_draws_none_along():
    readers = "".join(f"y{i} = Conv (input, w{i})\n" for i in range(5))
    model = proof_case.graph(
        f"(float[n, 2, 4, 4] input) => (float[n, 10, 4, 4] logits) {{ {readers} "
        "logits = Concat <axis = 1> (y0, y1, y2, y3, y4) }",
        (*(f"layer{i}/Conv" for i in range(5)), "join/Concat"),
        **{f"w{i}": proof_case.weight(2, 2, 1, 1, seed=i) for i in range(5)},
    )
    assert max(len(group.layers) for group in find_groups(model)) == 1


# ---------------------------------------------------------------------------------- the file


def test_a_layer_in_float_keeps_its_trained_weights(case):
    attempt = replace(repair_case.plain(case), floats=("three/Conv",))
    graph = attempt.graph()
    (weight,) = (t for t in graph.graph.initializer if t.name == "w3")
    trained = next(t for t in case.float32.core.graph.initializer if t.name == "w3")
    np.testing.assert_array_equal(numpy_helper.to_array(weight), numpy_helper.to_array(trained))
    assert {w.name for w in weights_of(graph) if w.values.dtype == np.int8} == {
        "w1_quantized",
        "w2_quantized",
        "w4_quantized",
    }


def test_a_weight_that_an_integer_layer_shares_with_it_is_rounded():
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 8, 8] logits) {
            a = Conv (input, w)
            logits = Conv (a, w)
        }""",
        ("one/Conv", "two/Conv"),
        w=proof_case.weight(4, 4, 1, 1),
    )
    ranges = dict.fromkeys(("input", "a", "logits"), (-4.0, 4.0))
    graph = quantize(model, ranges, floats=("two/Conv",))
    onnx.checker.check_model(graph)
    assert any(t.data_type == onnx.TensorProto.INT8 for t in graph.graph.initializer)


# ---------------------------------------------------------------------------------- sensitivity


@pytest.mark.parametrize("name", ["w1", "w3", "w4"])
def test_the_layer_that_was_spoiled_wins_most(case, name):
    attempt = spoiled(case, name)
    won = {g.nodes: gain for g, gain in sensitivities(case, attempt) if len(g.layers) == 1}
    reader = next(n.name for n in case.float32.core.graph.node if name in n.input)
    best = max(won, key=lambda nodes: won[nodes])
    assert reader in best
    assert won[best] > 0


def test_without_times_multiply_adds_are_the_cost(case):
    attempt = spoiled(case, "w3")
    options = rank(case, case.look(attempt))
    ratios = [option.won / option.cost for option in options]
    assert ratios == sorted(ratios, reverse=True)
    assert all(option.won > 0 and option.seconds is None for option in options)


def test_with_times_the_cost_is_measured(tmp_path):
    model = proof_case.graph(
        """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w)
            b = GlobalAveragePool (a)
            logits = Flatten (b)
        }""",
        ("one/Conv", "pool/GlobalAveragePool", "flat/Flatten"),
        w=proof_case.weight(3, 1, 3, 3),
    )
    case = repair_case.case(model, tmp_path, calibration="minmax")
    settings = replace(case.work.settings, latency=True)
    case = replace(case, work=replace(case.work, settings=settings))
    options = rank(case, case.look(spoiled(case, "w")))
    assert options
    assert all(option.seconds is not None and option.cost > 0 for option in options)


# --------------------------------------------------------------------------------------- the rung


def test_layers_are_left_in_float_until_the_budget_is_met(case):
    found = case.look(spoiled(case, "w4"))
    assert not case.meets(found)
    assert RUNG.why_not(case, found) == ""
    attempt, said = RUNG.repair(case, found)
    assert case.meets(case.look(attempt))
    assert "head/Gemm" in attempt.floats
    assert said.startswith("head (KL ")


def test_where_all_is_in_float_there_is_nothing_to_leave(case):
    names = tuple(node.name for node in case.float32.core.graph.node)
    found = case.look(replace(repair_case.plain(case), floats=names))
    assert RUNG.why_not(case, found) == "no layer is computed in integers"


def test_where_no_layer_helps_the_attempt_stays_as_it_is(case):
    found = case.look(replace(repair_case.plain(case), floats=("one/Conv",)))
    exact = replace(case, float32=replace(case.float32, logits=found.logits))
    again = replace(exact, seen={}).look(found.attempt)
    attempt, said = RUNG.repair(replace(exact, seen={}), again)
    assert attempt is again.attempt
    assert said


def test_the_network_answers_nearly_as_float32_with_all_layers_in_float(case):
    names = tuple(node.name for node in case.float32.core.graph.node)
    graph = replace(spoiled(case, "w3"), floats=names).graph()
    images = exported.inputs(8)
    np.testing.assert_allclose(
        repair_case.answers(graph, images),
        repair_case.answers(case.float32.core, images),
        rtol=1e-4,
        atol=1e-4,
    )
