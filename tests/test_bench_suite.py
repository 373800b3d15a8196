"""The pytest-benchmark suite, started as its user would: where nothing of compress is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import bench_models

SUITE = Path(__file__).parents[1] / "benchmarks" / "suite"
FAST = ("--benchmark-max-time=0.01", "--benchmark-min-rounds=2")

# Refuses to import what a board does not have, and leaves behind which tests were collected.
BOARD = """
import sys

HAS = {
    "numpy", "onnxruntime", "pytest", "_pytest", "pytest_benchmark", "pluggy", "iniconfig",
    "packaging", "pygments", "cpuinfo", "coloredlogs", "flatbuffers", "google", "sympy",
    "benchmarks", "suite", "conftest", "test_inference", "board", "sitecustomize",
}


class Lacking:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if path is None and top not in HAS and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"a board has no {name}", name=name)


sys.meta_path.insert(0, Lacking())
"""


@pytest.fixture
def run_suite(tmp_path):
    def run(*arguments):
        (tmp_path / "board.py").write_text(BOARD)
        # Nothing but pytest and pytest-benchmark, as on a board.
        plugins = ["-p", "board", "-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", str(SUITE), "-rs", *plugins]
        if arguments:
            command += ["--benchmark-json", str(tmp_path / "found.json")]
        return subprocess.run(
            [*command, *FAST, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(tmp_path)},
        )

    return run


def measured(tmp_path, found):
    """What pytest-benchmark kept, by variant."""
    assert found.returncode == 0, found.stdout + found.stderr
    kept = json.loads((tmp_path / "found.json").read_text())["benchmarks"]
    assert all(entry["name"] == f"test_inference[{entry['param']}]" for entry in kept)
    return {entry["param"]: entry["extra_info"] for entry in kept}


def change(folder, name, **entry):
    """Change what bundle.json says of a variant."""
    content = json.loads((folder / "bundle.json").read_text())
    content["variants"][name] |= entry
    (folder / "bundle.json").write_text(json.dumps(content))


def test_each_variant_of_a_bundle_is_measured_and_nothing_else_is_collected(tmp_path, run_suite):
    bundle = bench_models.write_bundle(tmp_path / "bundle")
    change(bundle, "student", session={"intra_op_num_threads": 2})
    found = measured(tmp_path, run_suite("--bundle", bundle))
    assert list(found) == ["teacher", "student", "baseline", "student_int8"]
    teacher = found["teacher"]
    assert teacher["sha256"] == bench_models.digest(bundle / "teacher.onnx")
    assert teacher["size_bytes"] == (bundle / "teacher.onnx").stat().st_size
    assert (teacher["file"], teacher["variant"]) == ("teacher.onnx", "teacher")
    assert teacher["onnxruntime"] == onnxruntime.__version__
    assert {name: info["threads"] for name, info in found.items()} == {
        "teacher": 1,
        "student": 2,
        "baseline": 1,
        "student_int8": 1,
    }


def test_threads_go_before_the_settings_that_the_bundle_recommends(tmp_path, run_suite):
    bundle = bench_models.write_bundle(tmp_path / "bundle")
    spinning = "session.intra_op.allow_spinning"
    change(bundle, "student", session={"intra_op_num_threads": 2, spinning: "1"})
    found = measured(tmp_path, run_suite("--bundle", bundle, "--threads", 1))
    assert found["student"]["threads"] == 1
    assert found["student"]["session"][spinning] == "0"


def test_files_of_frames_and_of_several_inputs_are_measured(tmp_path, run_suite):
    bundle = bench_models.write_bundle(tmp_path / "bundle", ends=("uint8", "label"))
    write_of_two_inputs(bundle / "student.onnx")
    found = measured(tmp_path, run_suite("--bundle", bundle))
    assert {"student", "student_int8"} <= found.keys()


def write_of_two_inputs(path):
    """A network of an image and a row of numbers."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 2, 2])
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, ["batch", 4])
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Add", ["flat", "row"], ["sum"]),
    ]
    answer = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "two", [image, row], [answer])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def test_without_a_bundle_the_suite_is_skipped_with_the_reason(run_suite):
    found = run_suite()
    assert found.returncode == 0
    assert "1 skipped" in found.stdout and "no --bundle DIR given" in found.stdout
