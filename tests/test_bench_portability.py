"""The same file on other types of core: numbers by hand, and what emulated cores really answer."""

import base64
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

import bench_models
import exported
import tiny
from compress.artifacts import read_json
from compress.cli import main
from compress.errors import RunnerLostError
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT
from compress_bench.evidence import TestImages, Variant
from compress_bench.graph.profiled import ProfiledNode, Value
from compress_bench.portability.check import check_cores, check_places
from compress_bench.portability.coverage import count_coverage, less_in_integers
from compress_bench.portability.parity import compare, judge
from compress_bench.portability.questions import prepare
from compress_bench.portability.steps import OutputStep, output_step
from compress_bench.targets import Place, local, open_place
from needs import needs_program, open_core

STEP = 0.5
LOGITS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]]) * STEP

needs_haswell = needs_program("qemu-x86_64", package="qemu-user")
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="Haswell is played on x86-64")
needs_arm = needs_program("qemu-aarch64", package="qemu-user")


# -------------------------------------------------------------------------------------- parity


def _moved(row: int, column: int, steps: float) -> np.ndarray:
    found = LOGITS.copy()
    found[row, column] += steps * STEP
    return found


def test_a_value_one_step_away_is_no_fault() -> None:
    parity = compare(LOGITS, _moved(0, 0, 1), STEP)
    assert parity == {
        "n": 2,
        "values": 8,
        "max_abs": 0.5,
        "range": 1.5,
        "max_steps": 1.0,
        "within_one": 1.0,
        "limit": None,
        "agreement": 1.0,
        "not_finite": 0,
    }
    assert judge(parity) == []


def test_two_of_eight_values_two_steps_away_are_too_many_and_one_may_be_chance() -> None:
    """At 1 % each: one or more with 1 - 0.99^8 = 7.7 %, two or more with 0.3 %."""
    found = _moved(1, 1, -2)
    parity = compare(LOGITS, found, STEP)
    assert (parity["max_steps"], parity["within_one"]) == (2.0, 0.875)
    assert judge(parity) == []
    found[1, 2] -= 2 * STEP
    (said,) = judge(compare(LOGITS, found, STEP))
    assert said == "75.0 % of 8 values are within one output step, expected 99 %"


def test_one_of_hundred_values_may_be_two_steps_away_and_none_three() -> None:
    expected = np.tile(np.arange(10.0), (10, 1))
    found = expected.copy()
    found[3, 4] += 2
    assert judge(compare(expected, found, 1.0)) == []
    found[3, 4] += 1
    (said,) = judge(compare(expected, found, 1.0))
    assert said == "values differ by up to 3 output steps, expected at most 2"


def test_from_a_hundred_values_on_two_beyond_a_step_are_too_many() -> None:
    expected = np.tile(np.arange(10.0), (10, 1))
    found = expected.copy()
    found[3, 4:6] += 2
    (said,) = judge(compare(expected, found, 1.0))
    assert said == "98.0 % of 100 values are within one output step, expected 99 %"


def test_another_class_is_a_fault_even_within_a_step() -> None:
    expected, found = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert judge(compare(expected, found, 1.0)) == ["1 of 1 images are given another class"]


def test_a_float_file_may_differ_by_a_thousandth_of_its_range() -> None:
    expected = np.array([[0.0, 10.0]])
    near, far = (compare(expected, expected - [[d, 0.0]], None) for d in (0.009, 0.011))
    assert near["limit"] == pytest.approx(0.01)
    assert near["max_steps"] is None
    assert judge(near) == []
    assert judge(far) == ["values differ by up to 0.011, expected at most 0.01 (their range is 10)"]


def _shares(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_scores_are_compared_in_steps_of_their_logits() -> None:
    """A softmax hides what all logits of an image move by together, and nothing else."""
    together = LOGITS + np.array([[2.0], [0.0]]) * STEP
    parity = compare(_shares(LOGITS), _shares(together), STEP, scores=True)
    assert parity["max_steps"] == pytest.approx(0, abs=1e-6)
    apart = _moved(0, 1, 6)  # of a range of six steps the middle is three away from either end
    parity = compare(_shares(LOGITS), _shares(apart), STEP, scores=True)
    assert parity["max_steps"] == pytest.approx(3, abs=1e-6)


def test_labels_agree_and_their_scores_move_by_what_two_steps_of_logits_can_do() -> None:
    """Two logits that are two steps apart, and then two steps the other way round.

    With steps of 0.5 their shares are 1 / (1 + e) and e / (1 + e): 0.2689 and 0.7311.
    """
    low, high = np.array([1 / (1 + np.e)]), np.array([np.e / (1 + np.e)])
    parity = compare(low, high, 0.5, np.array([1]), np.array([1]))
    assert parity["max_abs"] == pytest.approx(0.4621, abs=1e-4)
    assert parity["limit"] == pytest.approx(0.4621, abs=1e-4)
    assert parity["agreement"] == 1.0
    parity = compare(np.array([0.5]), np.array([0.5]), STEP, np.array([1]), np.array([0]))
    assert judge(parity) == ["1 of 1 images are given another class"]


def test_nan_on_one_side_alone_is_a_fault() -> None:
    (said, *_) = judge(compare(LOGITS, _moved(0, 0, np.nan), STEP))
    assert said.startswith("1 of 8 values are a number on one machine and NaN")


# ------------------------------------------------------------------------------ steps, coverage


def _ends_in(*nodes: onnx.NodeProto, path: Path) -> Path:
    tensors = [
        numpy_helper.from_array(np.array(0.25, np.float32), "scale"),
        numpy_helper.from_array(np.array(3, np.uint8), "zero"),
    ]
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    answers = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "net", [images], [answers], tensors)
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ((), OutputStep(0.25, False, True)),
        (("Identity",), OutputStep(0.25, False, True)),
        (("Softmax", "Identity"), OutputStep(0.25, True, True)),
        (("Relu",), OutputStep(None, False, True)),
    ],
)
def test_the_step_is_the_last_quantisers_scale(tmp_path, after, expected) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["0"]),
        *(helper.make_node(kind, [f"{i}"], [f"{i + 1}"]) for i, kind in enumerate(after)),
    ]
    nodes[-1].output[0] = "y"
    assert output_step(_ends_in(*nodes, path=tmp_path / "net.onnx")) == expected


def test_a_float_file_has_no_step() -> None:
    assert output_step(exported.float_file()) == OutputStep(None, False, False)


def _node(operator: str, given: str, made: str) -> ProfiledNode:
    return ProfiledNode(operator, operator, (1.0,), (Value(given, (1,)),), (Value(made, (1,)),))


def test_coverage_counts_what_computes_in_integers() -> None:
    nodes = [
        _node("QuantizeLinear", "float", "uint8"),
        _node("QLinearConv", "uint8", "uint8"),
        _node("QLinearConv", "uint8", "uint8"),
        _node("DequantizeLinear", "uint8", "float"),
        _node("FusedConv", "float", "float"),
        _node("QGemm", "uint8", "float"),
        _node("Softmax", "float", "float"),
    ]
    found = count_coverage(nodes)
    assert found == {
        "integer": 3,
        "float": 2,
        "boundary": 2,
        "convolutions": [2, 3],
        "products": [1, 1],
        "float_operators": {"FusedConv": 1, "Softmax": 1},
    }
    (said,) = less_in_integers(found, found | {"convolutions": [3, 3]})
    assert said.startswith("2 of 3 convolutions are computed in integers, 3 of 3 where")


# --------------------------------------------------------------------------------------- cores


class _Bright(CalibrationDataReader):
    """Calibration images, one at a time."""

    def __init__(self) -> None:
        inputs = preprocess(bench_models.images(12)[0], bench_models.SPEC)
        self._left: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict | None:
        image = next(self._left, None)
        return None if image is None else {"input": image[None]}


@pytest.fixture(scope="module")
def saturating(tmp_path_factory) -> Path:
    """Weights of 127 on inputs near 255: two products are twice what 16 bits hold."""
    folder = tmp_path_factory.mktemp("saturating")
    path = folder / "plain.onnx"
    source = bench_models.write_model(folder / "float.onnx")
    quantize_static(
        str(source),
        str(path),
        _Bright(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return path


def _variant(name: str, path: Path, spec: Preprocessing) -> Variant:
    (only,) = ort.InferenceSession(str(path)).get_inputs()
    return Variant(
        name=name,
        path=path,
        role=name,
        network=name,
        precision="int8",
        sha256="",
        size_bytes=0,
        parameters=0,
        preprocessing=spec,
        input_shapes={only.name: (1, spec.channels, *spec.size)},
    )


def _images(path: Path) -> TestImages:
    pixels, labels = bench_models.images(12)
    np.savez(path, images=pixels, labels=labels)
    return TestImages("thirds", path, pixels, labels, bench_models.CLASSES)


@on_x86
@needs_haswell
@needs_arm
def test_a_file_that_saturates_without_vnni_is_flagged_and_ours_passes(
    tmp_path, saturating
) -> None:
    """Also where the reference's machine has none: Haswell is held against a Haswell."""
    variants = [
        _variant("plain", saturating, bench_models.SPEC),
        _variant("ours", exported.int8_file(), exported.SPEC),
    ]
    questions = prepare(variants, _images(tmp_path / "images.npz"), tmp_path)
    with ExitStack() as stack:
        places = [
            stack.enter_context(open_place("emulate:haswell", SILENT)),
            open_core(stack, "emulate:cortex-a72"),
        ]
        checks = check_places(questions, places, SILENT, here=places[0].stream)
    haswell, a72 = checks
    *_, overflow = haswell.variants["plain"].problems
    assert overflow.startswith("haswell has AVX2 without VNNI and adds two int8 products in 16")
    assert (haswell.status, a72.status) == ("fail", "pass")
    for check in checks:
        assert check.reference.endswith("made to add int8 in 32 bits by session.x64quantprecision")
        assert check.variants["ours"].problems == ()
        coverage = check.variants["ours"].coverage
        assert coverage["convolutions"] == [4, 4]
        assert check.machine["emulated"] and check.machine["memory_bytes"] is None
        assert check.variants["ours"].instructions["estimate"]
        json.dumps(check.to_dict(), allow_nan=False)


def test_outputs_of_a_size_that_depends_on_their_values_are_compared(tmp_path) -> None:
    """Boxes of a detector, say: here the places of positive values, of four feeds."""
    net = """
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[1, 16] x) => (int64[2, found] places) {
            positive = Relu(x)
            places = NonZero(positive)
        }"""
    path = tmp_path / "places.onnx"
    onnx.save(onnx.parser.parse_model(net), path)
    variant = replace(
        _variant("places", exported.float_file(), exported.SPEC),
        path=path,
        preprocessing=None,
        input_shapes={"x": (1, 16)},
    )
    questions = prepare([variant], None, tmp_path)
    (check,) = check_places(questions, [Place("ssh://board", local.stream)], SILENT)
    assert check.status == "pass"
    assert check.variants["places"].parity["n"] == 4

    def fewer(job):
        for event in local.stream(job):
            for value in event.get("outputs", ()):
                value.update(shape=[2, 1], float32=base64.b64encode(bytes(8)).decode())
            yield event

    (check,) = check_places(questions, [Place("ssh://board", fewer)], SILENT)
    (said,) = check.variants["places"].problems
    assert said.startswith("output places has shape [2, 1], and [2, ")


def test_a_core_that_cannot_be_played_is_skipped_with_the_package_to_install(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    variants = [_variant("ours", exported.int8_file(), exported.SPEC)]
    questions = prepare(variants, None, tmp_path)
    (check,) = check_cores(questions, ["cortex-a72"], SILENT)
    assert (check.status, check.variants) == ("skipped", {})
    assert "apt install qemu-user" in check.reason


def test_a_file_that_kills_the_process_costs_its_own_answers_alone(tmp_path) -> None:
    shutil.copy(exported.int8_file(), tmp_path / "deadly.onnx")
    variants = [
        _variant(name, tmp_path / "deadly.onnx", exported.SPEC)
        for name in ("before", "deadly", "after")
    ]

    def stream(job):
        for event in local.stream(job):
            if event.get("variant") == "deadly":
                raise RunnerLostError("deadly (predicting): the measuring process met its end")
            yield event

    questions = prepare(variants, _images(tmp_path / "images.npz"), tmp_path)
    (check,) = check_places(questions, [Place("ssh://board", stream)], SILENT)
    assert {name: file.status for name, file in check.variants.items()} == {
        "before": "pass",
        "deadly": "fail",
        "after": "pass",
    }
    assert "met its end" in check.variants["deadly"].problems[0]


def test_files_that_take_no_images_answer_seeded_values(tmp_path) -> None:
    path = bench_models.write_model(tmp_path / "net.onnx")
    questions = prepare([_variant("net", path, bench_models.SPEC)], None, tmp_path)
    (check,) = check_places(questions, [Place("ssh://board", local.stream)], SILENT)
    assert check.status == "pass"
    parity = check.variants["net"].parity
    assert (parity["n"], parity["values"], parity["agreement"]) == (4, 12, None)


# -------------------------------------------------------------------------------------- export


def _export(tmp_path: Path, *more: str) -> int:
    data = tiny.write_npz(tmp_path / "data.npz")
    tokens = ["export", str(exported.float_file()), "--int8", "--calibration", "minmax"]
    tokens += ["--no-latency", "--threads", "1", "--data", str(data), "-o", str(tmp_path / "out")]
    return main([*tokens, *more])


def _bundle(tmp_path: Path) -> dict:
    return read_json(tmp_path / "out" / "bundle.json", kind="bundle")


@on_x86
@needs_haswell
def test_export_tries_the_students_files_on_each_core(tmp_path, capsys) -> None:
    assert _export(tmp_path, "--check-cpu", "haswell") == 0
    (check,) = _bundle(tmp_path)["checks"]["cpu"]
    assert (check["core"], check["status"]) == ("haswell", "pass")
    assert list(check["variants"]) == ["student", "student_int8"]
    assert check["variants"]["student_int8"]["parity"]["max_steps"] <= 2
    shown = capsys.readouterr().out
    assert "haswell, emulated: student.int8.onnx, 60 images" in shown
    assert "an estimated " in shown


def test_export_goes_on_without_an_emulator_and_fails_where_a_core_failed(
    tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _export(tmp_path, "--check-cpu", "cortex-a72") == 0
    assert "cortex-a72 was not checked: emulate:cortex-a72: expected" in capsys.readouterr().out
    bundle = _bundle(tmp_path)
    assert bundle["checks"]["cpu"][0]["status"] == "skipped"
    bundle["checks"]["cpu"][0]["status"] = "fail"
    (tmp_path / "out" / "bundle.json").write_text(json.dumps(bundle))
    assert _export(tmp_path, "--check-cpu", "cortex-a72") == 1
    assert "found cortex-a72 to fail" in capsys.readouterr().err


def test_a_core_type_that_does_not_exist_is_refused_at_once(tmp_path, capsys) -> None:
    (tmp_path / "recipe.yaml").write_text("export: {check_cpu: [haswell, cortex-a27]}")
    for asked in (["--check-cpu", "cortex-a27"], ["--recipe", str(tmp_path / "recipe.yaml")]):
        assert _export(tmp_path, *asked) == 2
        assert "--check-cpu cortex-a27: no such core type; did you mean" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
