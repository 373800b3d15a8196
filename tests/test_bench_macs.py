"""Multiply-adds, against numbers worked out by hand from the layers of known networks."""

import onnx
import pytest
import torch
from onnx import TensorProto, helper

import proof_case
from compress.models.lenet import lenet5
from compress.models.resnet import resnet14
from compress_bench.graph.layers import profile
from compress_bench.graph.macs import count_macs
from compress_bench.graph.profiled import ProfiledNode, Value
from compress_bench.targets import local


def counted(path, batch_size=1):
    model = {"variant": "net", "path": str(path), "shapes": {}}
    job = {"threads": 1, "batch_size": batch_size, "seed": 0, "runtimes": {}, "models": [model]}
    return profile(local.stream, job, runs=5, budget_seconds=0.0).macs


def node(operator, inputs, outputs, **changes):
    """An operator of a profile, with the shapes of float tensors."""
    values = ([Value("float", shape) for shape in side] for side in (inputs, outputs))
    return ProfiledNode(operator.lower(), operator, (1.0,), *map(tuple, values), **changes)


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs", "expected"),
    [
        ("Conv", [(1, 3, 32, 32), (16, 3, 3, 3), (16,)], [(1, 16, 32, 32)], 16 * 1024 * 27),
        ("Conv", [(1, 16, 8, 8), (16, 1, 3, 3)], [(1, 16, 4, 4)], 16 * 16 * 9),  # depthwise
        ("Conv", [(2, 4, 10), (6, 4, 3)], [(2, 6, 8)], 2 * 6 * 8 * 12),  # one axis, two images
        ("ConvTranspose", [(1, 8, 4, 4), (8, 2, 2, 2)], [(1, 2, 8, 8)], 8 * 16 * 8),
        ("Gemm", [(1, 400), (120, 400), (120,)], [(1, 120)], 48_000),
        ("Gemm", [(400, 3), (400, 7)], [(3, 7)], 3 * 7 * 400),  # the first one transposed
        ("MatMul", [(2, 5, 64), (64, 10)], [(2, 5, 10)], 2 * 5 * 10 * 64),
        ("QLinearConv", [(1, 3, 4, 4), (), (), (8, 3, 1, 1)], [(1, 8, 4, 4)], 8 * 16 * 3),
        ("QGemm", [(1, 64), (), (), (10, 64)], [(1, 10)], 640),
        ("MatMulInteger", [(1, 64), (64, 10)], [(1, 10)], 640),
        ("Relu", [(1, 64)], [(1, 64)], 0),
        ("Reshape", [(1, 64), (2,)], [(64,)], 0),
    ],
)
def test_an_operator_counts_what_its_shapes_tell(operator, inputs, outputs, expected):
    assert count_macs([node(operator, inputs, outputs)]).total == expected


def test_an_operator_in_a_loop_counts_each_time():
    step = node("MatMul", [(1, 8), (8, 8)], [(1, 8)], executions=5)
    assert count_macs([step]).total == 5 * 64


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("Einsum", [(4, 4), (4, 4)]),
        ("LSTM", [(1, 1, 4), (1, 16, 4)]),
        ("Conv", [(1, 3, 4, 4), (8,)]),  # the kernel keeps its weights in a form of its own
        ("Conv", []),
    ],
)
def test_work_that_shapes_do_not_tell_is_no_number_but_a_reason(operator, inputs):
    known = node("MatMul", [(1, 8), (8, 8)], [(1, 8)])
    found = count_macs([known, node(operator, inputs, [(1, 8, 4, 4)])])
    assert found.total is None
    assert found.by_node == {"matmul": 64}
    assert f"the work of {operator} {operator.lower()}" in found.reason


def test_a_file_of_two_images_is_counted_for_one(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(proof_case.gated(), path)
    # two convolutions of 4 to 4 channels, 3 x 3, on 8 x 8
    assert counted(path).total == counted(path, batch_size=2).total == 2 * 4 * 64 * 36


def test_a_quantised_file_counts_as_its_float_form(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(proof_case.quantized(proof_case.gated()), path)
    found = counted(path)
    assert found.total == 18_432
    assert found.by_node == {"features.0.0/Conv": 9_216, "features.1/Conv": 9_216}


NETWORKS = {
    # 6 * 28^2 * 25 + 16 * 10^2 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    "lenet5": (lenet5, 1, 28, 416_520),
    # stem 442,368; stages of 9,437,184, then twice 1,179,648 + 131,072 + 3 * 2,359,296; last 640
    "resnet14": (resnet14, 3, 32, 26_657_408),
}


@pytest.mark.filterwarnings("ignore")  # torch's: this exporter is the quick one, not the new one
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_ours_count_as_by_hand(tmp_path, name):
    factory, channels, side, expected = NETWORKS[name]
    module = factory(num_classes=10, channels=channels, input_size=(side, side)).eval()
    path = tmp_path / "net.onnx"
    torch.onnx.export(module, (torch.zeros(1, channels, side, side),), path, dynamo=False)
    assert counted(path).total == expected


def test_a_file_that_needs_more_than_shapes_is_still_timed(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Einsum", ["x", "x"], ["y"], equation="ij,ij->i", name="sum")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "net.onnx")
    assert "Einsum sum" in counted(tmp_path / "net.onnx").reason
