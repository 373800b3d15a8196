"""compress bench from files to report, and the bad inputs that it refuses."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import bench_models
from compress.data.open import open_dataset
from compress.errors import ArtifactError, BenchError, UsageError
from compress.settings import Bench, Run
from compress_bench import runner
from compress_bench.recipe import bench
from compress_bench.subjects.bare_files import data_files
from compress_bench.subjects.bundle import find_files

QUICK = Bench(profile="quick")
GOALS = {
    "student": {
        "size": {"max": "1 MB"},
        "accuracy": {"max_drop": "20 pt", "vs": "teacher"},
        "latency.p50": {"max": "10 s"},
    }
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return bench_models.write_bundle(tmp_path_factory.mktemp("bench") / "bundle")


@pytest.fixture(scope="module")
def report(bundle):
    return bench([bundle], settings=QUICK, run=Run(threads=1), goals=GOALS)


def copy(bundle, tmp_path):
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def rewrite(folder, change):
    content = json.loads((folder / "bundle.json").read_text())
    change(content)
    (folder / "bundle.json").write_text(json.dumps(content))


# ------------------------------------------------------------------------------- end to end


def test_a_bundle_becomes_a_report_that_json_can_hold(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["kind"], report["schema"]) == ("report", 1)
    assert list(report["variants"]) == ["teacher", "student", "baseline", "student_int8"]
    assert report["machine"]["emulated"] is False
    assert report["settings"]["reference"] == "teacher"
    assert report["data"] == {"reference": "thirds", "n": 60, "classes": list(bench_models.CLASSES)}
    assert report["history"] == {"student": [{"epoch": 1, "loss": 0.5}]}
    advice = [note for note in report["notes"] if note.startswith("compress export said")]
    assert [note.partition(": ")[2] for note in advice] == ["an advice of export"]


def test_every_setting_is_kept_with_the_value_that_it_had(report):
    recipe = report["recipe"]
    assert list(recipe) == ["bench", "run", "goals"]
    assert set(recipe["bench"]) == {field.name for field in dataclasses.fields(Bench)}
    assert recipe["bench"]["processes"] == 5 and recipe["bench"]["time_cap"] is not None
    assert recipe["run"]["threads"] == 1 and recipe["run"]["seed"] == 0
    assert recipe["goals"] == GOALS


def test_every_variant_has_each_measure(report):
    for name, fields in report["variants"].items():
        samples = fields["samples_seconds"]
        assert len(samples) == 5
        assert fields["latency"]["n"] == sum(len(process) for process in samples) >= 5 * 4 * 5
        low, value, high = (fields["latency"]["p50"][key] for key in ("low", "value", "high"))
        assert low <= value <= high
        assert fields["cold_start"]["session_seconds"] > 0
        assert fields["size_bytes"] > 0 and fields["parameters"] == 108
        assert (fields["speedup"] is None) == (name == "teacher")


def test_accuracy_is_that_of_the_deployed_file_on_this_machine(report):
    found = {name: fields["accuracy"]["value"] for name, fields in report["variants"].items()}
    assert found["teacher"] == found["student"] == 1.0
    assert found["student_int8"] < 0.9  # it was made wrong
    confusion = np.array(report["variants"]["student_int8"]["confusion"])
    assert confusion.trace() / confusion.sum() == pytest.approx(found["student_int8"])


def test_the_reference_is_measured_against_its_own_copy(report):
    control = report["resolution"]
    assert control["ratio_low"] < control["ratio_high"]
    assert control["smallest_difference"] >= 0.02
    assert len(control["samples_seconds"]) == 5


def test_the_verdict_covers_each_goal(report):
    assert report["verdict"]["status"] == "pass"
    assert [goal["metric"] for goal in report["verdict"]["goals"]] == [
        "size",
        "accuracy",
        "latency.p50",
    ]


def test_images_seen_differently_carry_a_picture(report):
    first = report["disagreements"][0]
    assert first["predictions"]["teacher"] != first["predictions"]["student_int8"]
    assert first["png"].startswith("iVBORw0KGgo")


def test_distilled_is_compared_with_trained_alone(report):
    assert report["comparison"]["vs"] == "baseline"
    assert report["comparison"]["low"] > 0  # the baseline was made wrong


def test_float32_is_compared_with_int8_on_the_same_images(report):
    found = report["int8_comparison"]
    accuracy = {name: v["accuracy"]["value"] for name, v in report["variants"].items()}
    assert (found["variant"], found["vs"], found["n"]) == ("student", "student_int8", 60)
    assert found["value"] == pytest.approx(accuracy["student"] - accuracy["student_int8"])
    # int8 is the wrong network that the baseline is, so that both differences are one.
    assert (found["low"], found["high"]) == (
        report["comparison"]["low"],
        report["comparison"]["high"],
    )


def test_bare_files_are_measured_without_images(tmp_path):
    slow = bench_models.write_model(tmp_path / "big net.onnx", extra=64)
    fast = bench_models.write_model(
        tmp_path / "small.int8.onnx",
        metadata={"compress.parameters": "108", "compress.precision": "int8"},
    )
    found = bench(
        [slow, fast],
        settings=Bench(profile="quick", processes=1, reference="small_int8"),
        run=Run(threads=1),
        goals={"big_net": {"latency.p50": {"max": "1 s"}}},
    )
    assert list(found["variants"]) == ["big_net", "small_int8"]
    small = found["variants"]["small_int8"]
    assert (small["parameters"], small["precision"], small["accuracy"]) == (108, "int8", None)
    weights = 36 * 3 + 36 * 64 + 64 * 64 + 64 * 3  # as counted in the file itself
    assert found["variants"]["big_net"]["parameters"] == weights
    assert found["data"]["n"] == 0 and found["disagreements"] == []
    # One process has no interval, so that even a wide goal stays open.
    assert found["verdict"]["status"] == "inconclusive"
    json.dumps(found, allow_nan=False)


def test_bare_files_meet_the_test_images_of_the_data(tmp_path):
    images, labels = bench_models.images(90)
    data = tmp_path / "images.npz"
    np.savez(
        data,
        x_train=images[:60],
        y_train=labels[:60],
        x_test=images[60:],
        y_test=labels[60:],
    )
    model = bench_models.write_model(tmp_path / "model.onnx")
    found = bench(
        [model], settings=Bench(profile="quick", processes=1), run=Run(threads=1, data=str(data))
    )
    assert found["data"]["n"] == 30
    assert found["variants"]["model"]["accuracy"]["value"] == 1.0
    assert any("(x - 128) / 64 at 6 x 6 px was assumed" in note for note in found["notes"])

    wide = bench_models.write_model(tmp_path / "wide.onnx", classes=6)
    with pytest.raises(BenchError, match=r"wide: expected 3 classes .* found 6 outputs"):
        bench([wide], settings=QUICK, run=Run(threads=1, data=str(data)))


def write_data(path):
    images, labels = bench_models.images(90)
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return str(path)


def notes_of(model, data):
    found = bench(
        [model], settings=Bench(profile="quick", processes=1), run=Run(threads=1, data=data)
    )
    return " ".join(found["notes"])


def test_images_that_a_file_was_not_exported_with_are_remarked(tmp_path):
    data = write_data(tmp_path / "images.npz")
    mine = open_dataset(data).fingerprint
    entries = {
        name: {"compress.data": json.dumps({"reference": "photos", "fingerprint": fingerprint})}
        for name, fingerprint in {"same": mine, "other": "f" * 64}.items()
    }
    same, other = (
        bench_models.write_model(tmp_path / f"{name}.onnx", metadata=metadata)
        for name, metadata in entries.items()
    )
    assert "was exported with" not in notes_of(same, data)
    assert (
        f"other: the file was exported with photos (ffffffffffff…), --data holds other images or "
        f"splits ({mine[:12]}…)"
    ) in notes_of(other, data)


@pytest.mark.parametrize("key", ["compress.data", "compress.classes", "compress.preprocessing"])
def test_metadata_that_is_not_json_is_refused(tmp_path, key):
    data = write_data(tmp_path / "images.npz")
    model = bench_models.write_model(tmp_path / "model.onnx", metadata={key: "{"})
    with pytest.raises(ArtifactError, match=f"metadata {key} is not JSON"):
        bench([model], settings=QUICK, run=Run(threads=1, data=data))


# ------------------------------------------------------------------------------- bad inputs


def test_a_folder_that_holds_something_else_is_refused_before_measuring(bundle, tmp_path):
    (tmp_path / "report.json").write_text('{"kind": "holiday"}')
    with pytest.raises(ArtifactError, match="choose another --out"):
        bench([bundle], settings=QUICK, run=Run(threads=1, out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_goals_without_a_goal_are_refused_before_measuring(bundle, tmp_path):
    (tmp_path / "goals.toml").write_text("# nothing yet\n[student]\n")
    with pytest.raises(UsageError, match=r"goals\.toml: expected at least one goal, found none"):
        bench(
            [bundle],
            settings=Bench(profile="quick", goals=tmp_path / "goals.toml"),
            run=Run(threads=1),
        )


def refused(subjects, error, message, **settings):
    with pytest.raises(error, match=message):
        bench(subjects, settings=Bench(profile="quick", **settings), run=Run(threads=1))


def test_a_file_that_changed_after_export_is_refused(bundle, tmp_path):
    folder = copy(bundle, tmp_path)
    bench_models.write_model(folder / "student.onnx", wrong=1.0)
    message = r"student\.onnx: sha256 differs .* run compress export again with --force$"
    refused([folder], ArtifactError, message)


@pytest.mark.parametrize("name", ["evaluation.npz", "golden.npz", "student.int8.onnx"])
def test_a_missing_file_is_named(bundle, tmp_path, name):
    folder = copy(bundle, tmp_path)
    (folder / name).unlink()
    refused([folder], ArtifactError, rf"{name}: named in bundle\.json but missing")


def test_a_missing_field_is_named(bundle, tmp_path):
    folder = copy(bundle, tmp_path)
    rewrite(folder, lambda content: content["variants"]["student"].pop("sha256"))
    refused([folder], ArtifactError, r"bundle\.json: field sha256 is missing")


def test_a_bundle_names_no_file_outside_of_it(bundle, tmp_path):
    folder = copy(bundle, tmp_path)
    rewrite(folder, lambda content: content["variants"]["student"].update(file="../x.onnx"))
    refused([folder], ArtifactError, "expected a plain file name")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    refused([tmp_path], ArtifactError, r"bundle\.json: no such file")


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    refused([tmp_path / "absent.onnx"], ArtifactError, r"absent\.onnx: no such file or folder")


def test_another_number_of_classes_is_refused_with_both_numbers(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle", classes=6)
    refused([folder], BenchError, r"teacher: expected 3 classes .* found 6 outputs")


def test_outputs_that_are_not_numbers_are_refused_by_name(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle", broken=True)
    refused([folder], BenchError, r"student: expected finite outputs, found NaN or infinity")


def test_outputs_that_are_not_numbers_are_refused_without_images(tmp_path):
    model = bench_models.write_model(tmp_path / "student.onnx", wrong=np.nan)
    refused([model], BenchError, r"student: .* NaN or infinity for random pixels")


def test_a_file_that_is_cut_off_is_refused_in_one_sentence(tmp_path):
    model = bench_models.write_model(tmp_path / "student.onnx")
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(BenchError, match="expected an ONNX file") as caught:
        bench([model], settings=QUICK, run=Run(threads=1))
    assert str(caught.value).startswith("student")
    assert "\n" not in str(caught.value)


def test_a_goal_for_no_variant_is_refused_before_measuring(bundle):
    goals = {"student_int4": {"size": {"max": "1 MB"}}}
    with pytest.raises(UsageError, match='did you mean "student_int8"'):
        bench([bundle], settings=QUICK, run=Run(threads=1), goals=goals)


def test_threads_far_beyond_the_cores_are_refused_with_both_numbers(bundle):
    cores = runner.available_cores()
    with pytest.raises(UsageError, match=rf"--threads {5 * cores}: .* at most {4 * cores}"):
        bench([bundle], settings=Bench(profile="quick"), run=Run(threads=5 * cores))


def test_a_reference_that_is_no_variant_is_refused(bundle):
    refused([bundle], UsageError, 'did you mean "teacher"', reference="techer")


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [tmp_path / "m.onnx", tmp_path / "other" / "m.onnx"]
    for path in paths:
        path.touch()
    with pytest.raises(UsageError, match="rename one of them"):
        find_files(paths)


def test_weights_in_a_file_beside_count_as_size(tmp_path):
    path = bench_models.write_model(tmp_path / "model.onnx", extra=64)
    onnx.save_model(
        onnx.load(path),
        tmp_path / "split.onnx",
        save_as_external_data=True,
        location="weights of it.data",
        size_threshold=0,
    )
    (beside,) = data_files(tmp_path / "split.onnx")
    assert beside.name == "weights of it.data"
    assert data_files(path) == []


def test_no_part_of_bench_loads_torch_or_onnx():
    program = (
        "import importlib, pkgutil, sys, compress_bench\n"
        "for module in pkgutil.walk_packages(compress_bench.__path__, 'compress_bench.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'torch', 'torchvision', 'onnx'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert found.stdout.strip() == "[]", found.stderr
