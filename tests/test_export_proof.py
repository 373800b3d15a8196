"""What onnxruntime computes in integers, and the float islands with their reasons and costs."""

import json
import platform
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

import proof_case
from compress_bench.graph.layers import layer_seconds
from compress_export.proof.census import take_census

PICTURE = {"input": (1, 4, 8, 8)}


def census(model, path, shapes=None):
    onnx.save(model, path)
    return take_census(path, layer_seconds(path, shapes, 1, runs=5) if shapes else None)


def insert_at_output(model, *nodes):
    """Append nodes that read `last` instead of what was the output, and give a new output."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    renamed = next(n for n in found.graph.node if n.output[0] == "logits")
    renamed.output[0] = "last"
    found.graph.node.extend(nodes)
    return found


# ---------------------------------------------------------------------------------- islands


def test_an_island_is_named_with_its_module_and_the_reason(tmp_path):
    found = census(proof_case.quantized(proof_case.gated()), tmp_path / "net.onnx")
    (island,) = found.islands
    assert (island.module, island.operator) == ("features.0.1", "HardSigmoid")
    assert island.reason == "onnxruntime has no integer HardSigmoid"
    assert island.operators == {"HardSigmoid": 1}
    assert (found.integer_convolutions, found.convolutions) == (2, 2)
    assert (found.quantize_nodes, found.dequantize_nodes) == (2, 2)
    assert found.float_operators == {"HardSigmoid": 1}
    assert island.seconds is island.share is found.operator_seconds is None


def test_an_island_costs_its_operators_and_the_steps_at_its_borders(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(proof_case.quantized(proof_case.gated()), path)
    layers = layer_seconds(path, PICTURE, 1, runs=5)
    (island,) = take_census(path, layers).islands
    parts = ("a_DequantizeLinear", "features.0.1/HardSigmoid", "b_QuantizeLinear")
    assert island.seconds == pytest.approx(sum(layers[name].seconds for name in parts))
    total = sum(layer.seconds for layer in layers.values())
    assert island.share == pytest.approx(island.seconds / total)


def test_what_the_profile_has_more_than_the_fused_graph_is_said_by_type(tmp_path):
    """On a machine with blocked kernels these are changes of layout."""
    found = census(proof_case.gated(), tmp_path / "float.onnx", PICTURE)
    known = {"ReorderInput", "ReorderOutput", "Transpose"}
    assert set(found.unmatched_seconds) <= known
    assert found.islands[0].seconds + sum(found.unmatched_seconds.values()) == pytest.approx(
        found.operator_seconds
    )


def test_a_float_file_is_one_island(tmp_path):
    found = census(proof_case.gated(), tmp_path / "float.onnx")
    (island,) = found.islands
    assert island.reason == "nothing around it is quantised"
    assert (island.modules[0], island.modules[-1]) == ("features.0.0", "features.1")
    assert found.float_operators.get("Conv", 0) + found.float_operators.get("FusedConv", 0) == 2


def test_connected_operators_are_one_island_named_by_what_keeps_it_float(tmp_path):
    model = proof_case.graph(
        """(float[n, 8] input) => (float[n, 4] logits) {
            a = Gemm (input, w1)
            b = Mul (a, half)
            c = LayerNormalization (b, ones)
            logits = Gemm (c, w2)
        }""",
        ("fc/Gemm", "scale/Mul", "norm/LayerNormalization", "head/Gemm"),
        w1=proof_case.weight(8, 8),
        w2=proof_case.weight(8, 4),
        half=np.full(8, 0.5, np.float32),
        ones=np.ones(8, np.float32),
    )
    whole = proof_case.quantized(model)
    # A writer that forgets the output of Mul: nothing is left to fuse it with.
    drop = {"b_QuantizeLinear", "b_DequantizeLinear"}
    kept = [node for node in whole.graph.node if node.name not in drop]
    for node in kept:
        node.input[:] = ["b" if n == "b_DequantizeLinear_Output" else n for n in node.input]
    del whole.graph.node[:]
    whole.graph.node.extend(kept)
    (island,) = census(whole, tmp_path / "net.onnx").islands
    assert (island.module, island.operator) == ("norm", "LayerNormalization")
    assert "computed anew for each image" in island.reason
    assert island.modules == ("scale", "norm")


def test_softmax_and_argmax_after_the_last_integers_are_no_island(tmp_path):
    base = insert_at_output(
        proof_case.quantized(proof_case.gated()),
        helper.make_node("Softmax", ["last"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["logits"], axis=1),
    )
    del base.graph.output[:]
    base.graph.output.append(helper.make_tensor_value_info("logits", 7, None))
    found = census(base, tmp_path / "net.onnx")
    assert [island.module for island in found.islands] == ["features.0.1"]


def test_a_cameras_frame_on_its_way_to_integers_is_no_island(tmp_path):
    model = proof_case.quantized(proof_case.gated())
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == "input" else name for name in node.input]
    steps = [
        helper.make_node("Cast", ["input"], ["cast"], to=1),
        helper.make_node("Sub", ["cast", "mean"], ["shifted"]),
        helper.make_node("Div", ["shifted", "mean"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["pixels"], perm=[0, 3, 1, 2]),
    ]
    nodes = [*steps, *model.graph.node]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info("input", 2, ["n", 8, 8, 4]))
    mean = np.array([1, 2, 3, 4], np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(mean, "mean"))
    found = census(model, tmp_path / "net.onnx")
    assert [island.module for island in found.islands] == ["features.0.1"]


def test_weights_that_are_computed_keep_a_convolution_in_float(tmp_path):
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input, float[4, 4, 1, 1] w) => (float[n, 4, 8, 8] logits) {
            q = QuantizeLinear (input, s, z)
            d = DequantizeLinear (q, s, z)
            y = Conv (d, w)
            p = QuantizeLinear (y, s, z)
            logits = DequantizeLinear (p, s, z)
        }""",
        ("q", "d", "dynamic/Conv", "p", "e"),
        s=np.float32(0.01),
        z=np.uint8(128),
    )
    found = census(model, tmp_path / "net.onnx")
    (island,) = found.islands
    assert island.module == "dynamic"
    assert island.reason == "its weights are computed, not constant"
    assert (found.integer_convolutions, found.convolutions) == (0, 1)


def test_a_shape_that_is_read_is_an_island_but_no_operator(tmp_path):
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 64] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w)
            s = Shape <end = 2> (a)
            t = Concat <axis = 0> (s, rest)
            logits = Reshape (a, t)
        }""",
        ("stem/Conv", "flat/Shape", "flat/Concat", "flat/Reshape"),
        w=proof_case.weight(4, 4, 3, 3),
        rest=np.array([64]),
    )
    found = census(proof_case.quantized(model), tmp_path / "net.onnx")
    (island,) = found.islands
    assert (island.module, island.operator) == ("flat", "Shape")
    assert island.reason.startswith("only its shape is read")
    assert found.float_operators == {}


def test_a_foreign_file_without_names_of_modules_is_told_by_its_own(tmp_path):
    model = proof_case.gated()
    model.graph.node[1].name = "gate"
    found = census(proof_case.quantized(model), tmp_path / "net.onnx")
    assert found.islands[0].module == "gate"


def test_an_operator_that_onnxruntime_takes_apart_is_traced_to_the_file(tmp_path):
    """HardSwish becomes HardSigmoid and Mul without names."""
    model = proof_case.gated()
    model.graph.node[1].op_type = "HardSwish"
    found = census(proof_case.quantized(model), tmp_path / "net.onnx", PICTURE)
    (island,) = found.islands
    assert island.modules == ("features.0.1",)
    assert sum(island.operators.values()) >= 1
    assert set(found.unmatched_seconds) <= {"Transpose"}
    assert island.seconds > 0


class _Images(CalibrationDataReader):
    def __init__(self):
        self.left = [{"input": proof_case.weight(4, 4, 8, 8)}]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ARM has kernels for int8 activations")
def test_int8_activations_are_named_as_what_keeps_a_branch_in_float(tmp_path):
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 8, 8] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w1)
            b = Conv <pads = [1, 1, 1, 1]> (a, w2)
            c = Add (a, b)
            logits = Conv <pads = [1, 1, 1, 1]> (c, w1)
        }""",
        ("stem/Conv", "block.0/Conv", "block/Add", "last/Conv"),
        w1=proof_case.weight(4, 4, 3, 3),
        w2=proof_case.weight(4, 4, 3, 3, seed=1),
    )
    path = tmp_path / "defaults.onnx"
    quantize_static(model, path, _Images())  # the library's defaults
    found = take_census(path)
    assert found.integer_convolutions < found.convolutions
    assert any("int8: onnxruntime's x86 kernels want uint8" in i.reason for i in found.islands)


def test_a_census_can_be_written_as_json(tmp_path):
    found = census(proof_case.quantized(proof_case.gated()), tmp_path / "net.onnx", PICTURE)
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["islands"][0]["share"] > 0
