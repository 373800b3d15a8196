"""OpenVINO beside onnxruntime: the same files, the same answers, nothing told to anybody."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import bench_models
import compress_bench.runtimes
import foreign_files
from compress.errors import BenchError, UsageError
from compress.settings import Bench, Run
from compress_bench.recipe import bench
from compress_bench.runtimes import check_runtimes, expand_variants, runtime_files, runtime_names

# Looked for, not imported: an import would report itself to Google Analytics.
INSTALLED = importlib.util.find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not INSTALLED, reason="pip install 'edge-compress[openvino]'")
FILES = sorted(Path(compress_bench.runtimes.__file__).parent.glob("[a-z]*.py"))


def measured(*paths, **settings):
    wanted = Bench(profile="quick", processes=1, layers=False, instructions="off", **settings)
    return bench(list(paths), settings=wanted, run=Run())


def open_session(path, threads=1, **settings):
    from compress_bench.runtimes import openvino

    return openvino.open_session(str(path), threads, settings)


def onnxruntime_session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def said(values):
    return [(value.name, value.type, len(value.shape)) for value in values]


# ---------------------------------------------------------------------------------- any runtime


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_runtime_is_of_python_3_8_and_needs_itself_and_numpy_alone(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found - set(sys.stdlib_module_names) <= {"numpy", path.stem}


def test_runtimes_are_listed_without_being_imported():
    program = (
        "import sys; from compress_bench.runtimes import runtime_names, runtime_settings;"
        "print(runtime_names(), runtime_settings('openvino')['INFERENCE_PRECISION_HINT'],"
        "'openvino' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert found.stdout.strip() == "['onnxruntime', 'openvino'] f32 False", found.stderr


def test_an_unknown_runtime_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r'--runtime openvin0: .*did you mean "openvino"'):
        check_runtimes(["onnxruntime", "openvin0"])
    with pytest.raises(UsageError, match="expected one of onnxruntime, openvino, found none"):
        check_runtimes([])


def test_a_runtime_named_twice_counts_once():
    assert check_runtimes(["openvino", "openvino"]) == ("openvino",)


def test_each_file_stands_there_once_a_runtime_with_settings_of_its_own():
    variant = bench_models.variant("student")
    first, second = expand_variants([variant], ["onnxruntime", "openvino"])
    assert first == variant
    assert (second.name, second.runtime) == ("student@openvino", "openvino")
    assert second.session["INFERENCE_PRECISION_HINT"] == "f32"
    (alone,) = expand_variants([variant], ["openvino"])
    assert (alone.name, alone.runtime) == ("student", "openvino")


def test_all_files_of_one_runtime_stand_before_those_of_the_next():
    variants = [bench_models.variant(name) for name in ("teacher", "student")]
    found = expand_variants(variants, ["onnxruntime", "openvino"])
    names = ["teacher", "student", "teacher@openvino", "student@openvino"]
    assert [variant.name for variant in found] == names
    assert [variant.runtime for variant in found] == ["onnxruntime"] * 2 + ["openvino"] * 2


def test_the_runner_s_own_runtime_has_no_file():
    assert [path.name for path in runtime_files(runtime_names()).values()] == ["openvino.py"]


def test_a_runtime_that_is_not_installed_is_named_with_what_installs_it(tmp_path, monkeypatch):
    model = bench_models.write_model(tmp_path / "student.onnx")
    hidden = tmp_path / "hidden" / "openvino"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError(\"No module named 'openvino'\")")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent))
    with pytest.raises(
        BenchError,
        match=r"runtime openvino: cannot be imported by \S+ \(No module named 'openvino'\); "
        r"install it there: pip install openvino$",
    ):
        measured(model, runtime=("onnxruntime", "openvino"))


# ---------------------------------------------------------------------------------- openvino


@needs_openvino
@pytest.mark.parametrize("ends", [("float", "logits"), ("uint8", "label")])
def test_openvino_describes_and_answers_as_onnxruntime_does(tmp_path, ends):
    path = bench_models.write_model(
        tmp_path / "m.onnx", scale=0.03, ends=ends, metadata={"compress.parameters": "7"}
    )
    mine, theirs = open_session(path), onnxruntime_session(path)
    assert said(mine.get_inputs()) == said(theirs.get_inputs())
    assert said(mine.get_outputs()) == said(theirs.get_outputs())
    entries = mine.get_modelmeta().custom_metadata_map
    assert entries == theirs.get_modelmeta().custom_metadata_map
    (only,) = theirs.get_inputs()
    images, _ = bench_models.images(5)
    pixels = images if ends[0] == "uint8" else (images.transpose(0, 3, 1, 2) - 128.0) / 64
    feed = {only.name: pixels.astype("uint8" if ends[0] == "uint8" else "float32")}
    for ours, other in zip(mine.run(None, feed), theirs.run(None, feed), strict=True):
        assert ours.dtype == other.dtype
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-6)  # bf16 is 4e-3 apart
    last = mine.get_outputs()[-1].name
    np.testing.assert_array_equal(mine.run([last], feed)[0], mine.run(None, feed)[-1])


@needs_openvino
def test_settings_in_capitals_are_openvino_s_and_others_are_left_alone(tmp_path):
    path = bench_models.write_model(tmp_path / "m.onnx")
    settings = {"session.intra_op.allow_spinning": "0", "NUM_STREAMS": "2"}
    applied = open_session(path, threads=2, **settings).applied
    assert applied["INFERENCE_NUM_THREADS"] == 2 and applied["NUM_STREAMS"] == "2"
    assert applied["INFERENCE_PRECISION_HINT"] == "f32"
    assert "session.intra_op.allow_spinning" not in applied


@needs_openvino
def test_open_axes_become_the_sizes_that_are_asked_for(tmp_path):
    path = bench_models.write_model(tmp_path / "m.onnx")
    assert open_session(path).get_inputs()[0].shape == ["axis_0", 1, 6, 6]
    fixed = open_session(path, shapes={"input": [3, 1, 6, 6]})
    assert fixed.get_inputs()[0].shape == [3, 1, 6, 6]


@needs_openvino
def test_what_openvino_cannot_run_is_said_in_one_sentence(tmp_path):
    path = foreign_files.zip_map(tmp_path / "forest.onnx")
    with pytest.raises(ValueError, match=r"forest\.onnx: openvino \S+ cannot run it \(.+\);") as e:
        open_session(path)
    assert "\n" not in str(e.value) and "Exception from" not in str(e.value)


@needs_openvino
def test_importing_openvino_tells_nobody_and_leaves_nothing_behind(tmp_path):
    (path,) = runtime_files(["openvino"]).values()
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from compress_bench import runner;"
        "print(runner.load_module(sys.argv[2]).version(), 'openvino_telemetry' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(path.parents[2]), str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(tmp_path), "CI": "false"},
    )
    assert found.stdout.strip().endswith("False"), found.stderr
    assert list(tmp_path.iterdir()) == []


@needs_openvino
def test_a_bench_of_two_runtimes_measures_each_file_twice_in_the_same_rounds(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle")
    found = measured(folder, runtime=("onnxruntime", "openvino"))
    files = ["teacher", "student", "baseline", "student_int8"]
    assert list(found["variants"]) == [*files, *(f"{name}@openvino" for name in files)]
    for name in files:
        mine, other = found["variants"][name], found["variants"][f"{name}@openvino"]
        assert (mine["runtime"], other["runtime"]) == ("onnxruntime", "openvino")
        assert mine["accuracy"]["value"] == other["accuracy"]["value"]
        assert other["latency"]["n"] > 0 and other["memory"] is not None
        assert other["cold_start"]["import_runtime_seconds"] > 0
    assert found["machine"]["openvino"].startswith("20")
    # Who is compared with whom stays on one runtime.
    assert found["int8_comparison"]["variant"] == "student"
    assert found["int8_comparison"]["vs"] == "student_int8"
