"""What each operator costs, from onnxruntime's profile."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import proof_case
from compress.errors import BenchError
from compress_bench import layers
from compress_bench.layers import layer_seconds

PICTURE = {"input": np.zeros((1, 4, 8, 8), np.float32)}


def net(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(proof_case.quantized(proof_case.gated()), path)
    return path


def test_every_operator_has_a_time_a_type_and_the_shape_of_its_output(tmp_path):
    found = layer_seconds(net(tmp_path), PICTURE, 1, runs=5)
    gate = found["features.0.1/HardSigmoid"]
    assert gate.operator == "HardSigmoid"
    assert gate.seconds > 0
    assert sorted(gate.output_shapes[0]) == [1, 4, 8, 8]
    assert sum(layer.operator == "QLinearConv" for layer in found.values()) == 2


def test_layers_come_in_the_order_of_execution(tmp_path):
    names = list(layer_seconds(net(tmp_path), PICTURE, 1, runs=5))
    assert names.index("a_DequantizeLinear") < names.index("features.0.1/HardSigmoid")
    assert names[-1] == "logits_DequantizeLinear"


def test_the_profile_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    path = net(tmp_path)
    layer_seconds(path, PICTURE, 1, runs=5)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["net.onnx", "temporary"]


def test_a_time_is_the_mean_of_the_middle_half():
    """Of 1 to 8 microseconds and two outliers: 3, 4, 5, 6, 7, 8 are left of ten."""
    events = [
        [{"dur": value, "args": {"op_name": "Add", "output_type_shape": []}}]
        for value in (0, 1000, 1, 2, 3, 4, 5, 6, 7, 8)
    ]
    assert layers._layer(events).seconds == pytest.approx(4.5e-6)


def test_operators_of_one_name_are_added_up():
    event = {"cat": "Node", "name": "same_kernel_time", "dur": 2, "args": {"op_name": "Add"}}
    end = {"cat": "Session", "name": "model_run", "dur": 9}
    (run,) = layers._per_run([event, event, end])
    assert layers._layer([run["same"]]).seconds == pytest.approx(4e-6)


def test_a_file_that_cannot_run_is_named(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no graph")
    with pytest.raises(BenchError, match=r"net\.onnx: onnxruntime .* cannot profile it"):
        layer_seconds(tmp_path / "net.onnx", PICTURE, 1)


def test_neither_torch_nor_onnx_is_needed():
    code = (
        "import sys, compress_bench.layers; "
        "sys.exit(bool({'torch', 'onnx', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    path = os.pathsep.join(str(root / part) for part in (".", "export", "benchmarks"))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0
