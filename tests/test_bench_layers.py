"""What each operator costs: onnxruntime's profile, by torch module, with its float islands."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import bench_models
import proof_case
from compress.errors import BenchError
from compress_bench import runner
from compress_bench.graph.kinds import kind_of
from compress_bench.graph.layer_table import lay_out
from compress_bench.graph.layers import Profiled, layer_seconds, profile, read_layers
from compress_bench.graph.modules import Places, fallback, unscoped
from compress_bench.graph.onnx_wire import Graph, Node, Tensor
from compress_bench.graph.profiled import ProfiledNode, Value, middle_mean
from compress_bench.metrics import layers as layers_metric
from compress_bench.targets import local

PICTURE = {"input": (1, 4, 8, 8)}


def net(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(proof_case.quantized(proof_case.gated()), path)
    return path


def operator(name, kind="Conv", types=("float", "float"), spent=(1.0,) * 8, shape=(1, 4)):
    """One that runs: the types of its first input and its output."""
    values = [(Value(name, shape),) for name in types]
    return ProfiledNode(name, kind, spent, *values)


# ------------------------------------------------------------------------------------- profile


def test_a_files_operators_have_times_types_and_shapes_in_the_order_of_execution(tmp_path):
    found = layer_seconds(net(tmp_path), PICTURE, 1, runs=5)
    gate = found["features.0.1/HardSigmoid"]
    assert gate.operator == "HardSigmoid"
    assert gate.seconds > 0
    assert gate.outputs[0].type == "float" and sorted(gate.outputs[0].shape) == [1, 4, 8, 8]
    assert sum(layer.operator == "QLinearConv" for layer in found.values()) == 2
    names = list(found)
    assert names.index("a_DequantizeLinear") < names.index("features.0.1/HardSigmoid")
    assert names[-1] == "logits_DequantizeLinear"


def test_the_profile_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    layer_seconds(net(tmp_path), PICTURE, 1, runs=5)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["net.onnx", "temporary"]


def test_a_file_that_cannot_run_is_named(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no graph")
    with pytest.raises(BenchError, match=r"net\.onnx .*onnxruntime .* cannot open it"):
        layer_seconds(tmp_path / "net.onnx", PICTURE, 1)


def test_an_operator_that_runs_twice_in_an_inference_is_added_up_and_counted():
    """Of two that only share their name, each is one."""

    def event(index):
        said = {"op_name": "Add", "node_index": index, "output_type_shape": [{"float": [1]}]}
        return {"cat": "Node", "name": "same_kernel_time", "dur": 2, "args": said}

    events = [event("3"), event("3"), event("4"), {"cat": "Session", "name": "model_run"}]
    (run,) = runner.profiled_runs(events)
    found = [runner.profiled_node(key, [run]) for key in run]
    assert [(node["microseconds"], node["executions"]) for node in found] == [([4], 2), ([2], 1)]
    assert found[0]["outputs"] == [["float", [1]]]


def test_an_event_is_read_as_it_was_sent():
    sent = {
        "event": "layers",
        "variant": "student",
        "runs": 2,
        "nodes": [
            {
                "name": "a/Conv",
                "operator": "Conv",
                "microseconds": [3, 4],
                "inputs": [["float", [1, 3, 8, 8]]],
                "outputs": [["uint8", [1, 4, 8, 8]]],
                "executions": 1,
            }
        ],
    }
    found = read_layers(json.loads(json.dumps(sent)))
    (node,) = found.nodes
    assert (found.variant, found.runs, node.operator) == ("student", 2, "Conv")
    assert node.seconds == pytest.approx(3.5e-6)
    assert node.outputs == (Value("uint8", (1, 4, 8, 8)),)


def test_neither_torch_nor_onnx_is_needed():
    code = (
        "import sys, compress_bench.graph.layer_table; "
        "sys.exit(bool({'torch', 'onnx', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    path = os.pathsep.join(str(root / part) for part in (".", "export", "benchmarks"))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0


# ---------------------------------------------------------------------------------- statistics


def test_a_time_is_the_mean_of_the_middle_half_with_its_winsorised_interval():
    """Of ten, two are cut on each side: 2 to 7 are left."""
    found = middle_mean(np.array([0, 1000, 1, 2, 3, 4, 5, 6, 7, 800.0]))
    assert found.value == pytest.approx(4.5)
    # drawn in: 2 2 2 3 4 5 6 7 7 7; squares about their mean, 4.5, are 42.5; t of 5 degrees 2.5706
    assert found.high - found.value == pytest.approx(2.5706 * np.sqrt(42.5 / 30), rel=1e-4)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_three_values_are_not_cut_and_bound_nothing():
    found = middle_mean(np.array([1.0, 2.0, 6.0]))
    assert (found.value, found.low, found.high) == (3.0, -np.inf, np.inf)


def test_intervals_cover_the_middle_of_what_is_drawn():
    """Of 1,000 samples of 40 from a skewed distribution at least 93 in 100 intervals."""
    rng = np.random.default_rng(0)
    logs = np.sort(rng.normal(0, 0.2, 400_001))
    true = float(np.exp(logs[100_000:300_001]).mean())
    draws = np.exp(rng.normal(0, 0.2, (1000, 40)))
    found = [middle_mean(draw) for draw in draws]
    assert 0.93 <= np.mean([i.low <= true <= i.high for i in found]) <= 0.97


# ------------------------------------------------------------------------------------- modules


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/features/features.0/features.0.2/Clip", "features.0.2"),
        ("/features/features.2/conv/conv.1/conv.1.0/Conv", "features.2.conv.1.0"),
        ("/layer2/layer2.0/downsample/downsample.0/Conv", "layer2.0.downsample.0"),
        ("/Flatten", "(root)"),
    ],
)
def test_names_of_torchs_old_exporter_are_read_as_paths(name, module):
    assert unscoped(name) == module


@pytest.mark.parametrize(
    ("node", "module"),
    [
        (Node("layer1.0.conv1/Conv", "Conv", ("x", "w"), ("y",)), "layer1.0.conv1"),
        (Node("layer1.0.conv1/Conv:2", "Conv", ("x", "w"), ("y",)), "layer1.0.conv1"),
        (Node("pool/ReduceMean.GlobalAveragePool", "GlobalAveragePool", ("x",), ("y",)), "pool"),
        (Node("(root)/Add", "Add", ("x", "y"), ("z",)), "(root)"),
        (Node("/fc/Gemm", "Gemm", ("x", "onnx::Gemm_7"), ("y",)), "fc"),
        (Node("node_conv2d", "Conv", ("x", "stem.conv.weight"), ("y",), "stem.bn"), "stem.conv"),
        (Node("node_relu", "Relu", ("x",), ("y",), "stem.act"), "stem.act"),
        (Node("node_mean", "ReduceMean", ("x",), ("y",), ""), "(root)"),
        (Node("model/conv1/Conv2D", "Conv", ("x", "w"), ("y",)), "model/conv1/Conv2D"),
        (Node("", "Conv", ("x", "w"), ("y",)), "Conv"),
    ],
)
def test_an_operator_of_a_file_is_told_by_its_torch_module_else_by_its_own_name(node, module):
    assert Places(Graph((node,))).module(node) == module


FILE = Graph(
    (
        Node("input_QuantizeLinear", "QuantizeLinear", ("input", "s"), ("iq",)),
        Node("input_DequantizeLinear", "DequantizeLinear", ("iq", "s"), ("id",)),
        Node("w_DequantizeLinear", "DequantizeLinear", ("wq", "s"), ("w",)),
        Node("stem/Conv", "Conv", ("id", "w"), ("conv",)),
        Node("stem.act/Relu", "Relu", ("conv",), ("relu",)),
        Node("relu_QuantizeLinear", "QuantizeLinear", ("relu", "s"), ("rq",)),
        Node("relu_DequantizeLinear", "DequantizeLinear", ("rq", "s"), ("rd",)),
        Node("swish/HardSwish", "HardSwish", ("rd",), ("swished",)),
        Node("fc/Gemm", "Gemm", ("swished", "fw"), ("logits",)),
    ),
    (Tensor("wq", (4, 4, 3, 3), "int8"), Tensor("fw", (4, 4), "float"), Tensor("s", (), "float")),
)


@pytest.mark.parametrize(
    ("name", "kind", "module"),
    [
        ("stem/Conv_token_7", "QLinearConv", "stem"),  # a copy
        ("relu_nchwc", "Conv", "stem"),  # another layout, named after what was fused into it
        ("fused fc/Gemm", "FusedGemm", "fc"),
        ("fc/Gemm/MatMulScaleFusion/", "Gemm", "fc"),
        ("fc/Gemm_quant", "QGemm", "fc"),
        ("input_QuantizeLinear", "QuantizeLinear", "input"),
        ("w_DequantizeLinear", "DequantizeLinear", "stem"),  # of a weight: who reads it
        ("relu_DequantizeLinear", "DequantizeLinear", "stem.act"),
        ("relu_q", "QuantizeLinear", "stem.act"),  # onnxruntime's own
    ],
)
def test_a_name_of_the_graph_that_runs_is_traced_to_its_module(name, kind, module):
    places = Places(FILE)
    (origin,) = places.origins([operator(name, kind)])
    assert places.module(origin) == module


def test_steps_of_an_operator_that_was_taken_apart_are_found_by_the_one_before_them():
    places = Places(FILE)
    running = [
        operator("relu_DequantizeLinear", "DequantizeLinear"),
        operator("HardSigmoid_3", "HardSigmoid"),
        operator("Mul_4", "Mul"),
        operator("fc/Gemm", "Gemm"),
        operator("ReorderOutput_token_2", "ReorderOutput"),
    ]
    origins = places.origins(running)
    assert [origin and places.module(origin) for origin in origins] == [
        "stem.act",
        "swish",
        "swish",
        "fc",
        None,
    ]
    assert fallback(running[-1]) == "ReorderOutput"


@pytest.mark.parametrize(
    ("kind", "types", "expected"),
    [
        ("QLinearConv", ("uint8", "uint8"), "integer"),
        ("QGemm", ("uint8", "float"), "integer"),
        ("MatMulInteger", ("uint8", "int32"), "integer"),
        ("NhwcMaxPool", ("uint8", "uint8"), "integer"),
        ("QLinearConcat", ("float", "uint8"), "integer"),  # a scale comes first
        ("Conv", ("float", "float"), "float"),
        ("LayerNormalization", ("float16", "float16"), "float"),
        ("ArgMax", ("float", "int64"), "float"),
        ("ArgMax", ("uint8", "int64"), "integer"),
        ("QuantizeLinear", ("float", "uint8"), "boundary"),
        ("DequantizeLinear", ("uint8", "float"), "boundary"),
        ("Transpose", ("uint8", "uint8"), "move"),
        ("ReorderOutput", ("float", "float"), "move"),
        ("Concat", ("int64", "int64"), "move"),
    ],
)
def test_work_is_in_integers_in_float_between_both_or_mere_moving(kind, types, expected):
    assert kind_of(operator("a", kind, types)) == expected


# --------------------------------------------------------------------------------------- table


def test_rows_of_a_module_are_added_up_with_shares_bounds_and_multiply_adds(tmp_path):
    model = {"variant": "net", "path": str(net(tmp_path)), "shapes": {}}
    job = {"threads": 1, "batch_size": 1, "seed": 0, "runtimes": {}, "models": [model]}
    found = lay_out(profile(local.stream, job, runs=12))
    rows = {(row.module, row.kind): row for row in found.rows}
    assert rows["features.0.0", "integer"].macs == 4 * 64 * 36
    assert rows["features.0.0", "boundary"].operators == ("DequantizeLinear",)
    assert rows["features.0.1", "float"].operators == ("HardSigmoid",)
    assert sum(row.macs for row in found.rows) == 2 * 4 * 64 * 36
    assert sum(row.share for row in found.rows) == pytest.approx(1, abs=0.2)
    for row in found.rows:
        assert 0 <= row.low <= row.seconds < row.high  # a microsecond that the profile cuts off
    (island,) = found.islands
    assert (island.module, island.operators) == ("features.0.1", ("HardSigmoid",))
    parts = (("features.0.0", "boundary"), ("features.0.1", "float"), ("features.0.1", "boundary"))
    assert island.seconds == pytest.approx(sum(rows[part].seconds for part in parts), rel=0.5)


def chain(*steps, graph=True):
    """A profile of operators that follow each other, each (module, operator, microseconds)."""
    integers = {"QLinearConv", "QuantizeLinear", "QLinearAdd"}
    nodes, file = [], []
    for index, (module, kind, spent) in enumerate(steps):
        name = f"{module}/{kind}" if graph else f"{kind}_{index}"
        out = "uint8" if kind in integers else "float"
        into = "float" if kind not in integers - {"QuantizeLinear"} else "uint8"
        types = ("uint8", "float") if kind == "DequantizeLinear" else (into, out)
        nodes.append(operator(name, kind, types, (spent,) * 8))
        file.append(Node(name, kind, (f"t{index}",), (f"t{index + 1}",)))
    return Profiled("net", 8, tuple(nodes), Graph(tuple(file)) if graph else Graph())


GATE = (
    ("input", "QuantizeLinear", 1.0),
    ("stem", "QLinearConv", 50.0),
    ("stem", "DequantizeLinear", 2.0),
    ("gate", "HardSigmoid", 5.0),
    ("gate", "Mul", 7.0),
    ("gate", "QuantizeLinear", 3.0),
    ("head", "QLinearConv", 20.0),
    ("head", "DequantizeLinear", 4.0),
    ("(root)", "Softmax", 8.0),
)


@pytest.mark.parametrize("graph", [True, False])
def test_an_island_is_float_work_between_integers_with_its_borders(graph):
    """Without the file's graph the order of execution tells the same of a chain."""
    found = lay_out(chain(*GATE, graph=graph))
    (island,) = found.islands
    assert island.operators == ("HardSigmoid", "Mul")
    assert island.seconds == pytest.approx((2 + 5 + 7 + 3) * 1e-6)
    assert island.share == pytest.approx(17 / 100)
    assert found.seconds == pytest.approx(100e-6)


def test_a_branch_that_runs_between_an_islands_steps_does_not_divide_it():
    """Two branches from one tensor; the integer one runs in the middle of the float one."""
    steps = chain(*GATE).nodes
    between = operator("side/QLinearConv", "QLinearConv", ("uint8", "uint8"), (9.0,) * 8)
    nodes = (*steps[:4], between, *steps[4:])
    file = (*chain(*GATE).graph.nodes, Node("side/QLinearConv", "QLinearConv", ("t2",), ("side",)))
    (island,) = lay_out(Profiled("net", 8, nodes, Graph(file))).islands
    assert island.seconds == pytest.approx(17e-6)


def test_a_float_network_has_no_islands():
    found = lay_out(chain(("a", "Conv", 5.0), ("b", "Relu", 1.0)))
    assert found.islands == ()
    assert [(row.module, row.kind, row.share) for row in found.rows] == [
        ("a", "float", pytest.approx(5 / 6)),
        ("b", "float", pytest.approx(1 / 6)),
    ]


def test_a_float_part_before_the_first_integers_is_an_island_if_it_computes():
    """Scaling a frame is not; a convolution that was left in float is."""
    tail = (("q", "QuantizeLinear", 1.0), ("b", "QLinearConv", 1.0))
    assert lay_out(chain(("scale", "Mul", 2.0), *tail)).islands == ()
    (island,) = lay_out(chain(("stem", "Conv", 2.0), *tail)).islands
    assert (island.module, island.seconds) == ("stem", pytest.approx(3e-6))


def test_the_report_says_why_there_are_no_layers():
    evidence = bench_models.evidence()
    assert layers_metric.measure(evidence, "student") == {
        "layers": None,
        "layers_reason": "layers were not timed; leave --no-layers out",
    }


def test_the_report_holds_rows_and_islands_as_json():
    evidence = replace(bench_models.evidence(), profiles={"student": chain(*GATE)})
    found = layers_metric.measure(evidence, "student")["layers"]
    assert json.loads(json.dumps(found, allow_nan=False))["islands"][0]["module"] == "gate"
    assert found["rows"][1]["seconds"] == pytest.approx(50e-6)
