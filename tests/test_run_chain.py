"""The whole chain through the command line, on small real input."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import tiny
from compress.cli import main

RECIPE = {
    "run": {"seed": 3, "threads": 1},
    "train": {"model": "resnet8", "epochs": 4, "batch_size": 16},
    "distill": {"student": "lenet5", "epochs": 3, "batch_size": 16, "with_baseline": True},
    "export": {"int8": True, "calibration_images": 48},
    "bench": {"profile": "quick"},
    "goals": {"student_int8": {"size": {"max": "200 kB"}, "accuracy": {"min": "1 %"}}},
}


def _recipe(folder: Path, **sections: object) -> Path:
    npz = tiny.write_npz(folder / "tiny.npz")
    content = {**RECIPE, **sections}
    content["run"] = {**RECIPE["run"], "data": str(npz)}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    recipe = _recipe(folder)
    assert main(["run", str(recipe), "-o", str(folder / "run"), "-q"]) == 0
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_stage_leaves_its_artefact(done):
    expected = {
        "teacher/manifest.json",
        "teacher/model.safetensors",
        "student/manifest.json",
        "student/baseline/manifest.json",
        "bundle/bundle.json",
        "bundle/teacher.onnx",
        "bundle/student.onnx",
        "bundle/baseline.onnx",
        "bundle/student.int8.onnx",
        "bundle/evaluation.npz",
        "bundle/golden.npz",
        "report.json",
        "report.md",
        "report.csv",
        "report.html",
    }
    found = {str(p.relative_to(done / "run")) for p in (done / "run").rglob("*") if p.is_file()}
    assert expected <= found
    assert not [name for name in found if ".writing-" in name or "training-state" in name]


def test_the_report_measures_every_variant_on_the_deployed_file(done):
    report = json.loads((done / "run/report.json").read_text())
    assert list(report["variants"]) == ["teacher", "student", "baseline", "student_int8"]
    for variant in report["variants"].values():
        assert variant["accuracy"]["n"] == 60
        assert variant["latency"]["p50"]["value"] > 0
    assert report["verdict"]["status"] == "pass"
    assert report["variants"]["student_int8"]["precision"] == "int8"


def test_the_same_seed_and_threads_give_the_same_weights_on_another_run(done, tmp_path):
    recipe = _recipe(tmp_path)
    assert main(["run", str(recipe), "-o", str(tmp_path / "run"), "-q"]) == 0
    for name in ("teacher", "student", "student/baseline"):
        weights = f"{name}/model.safetensors"
        assert _digest(tmp_path / "run" / weights) == _digest(done / "run" / weights)


def test_the_same_command_again_trains_nothing_anew(done):
    weights = done / "run/student/model.safetensors"
    before = weights.stat().st_mtime_ns
    assert main(["run", str(done / "recipe.yaml"), "-o", str(done / "run"), "-q"]) == 0
    assert weights.stat().st_mtime_ns == before


def test_json_is_one_object_on_standard_output_and_quiet_says_nothing_else(done):
    tokens = ["run", str(done / "recipe.yaml"), "-o", str(done / "run"), "--json", "-q"]
    result = subprocess.run(
        [sys.executable, "-m", "compress", *tokens], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert json.loads(result.stdout)["kind"] == "report"
    assert "\x1b" not in result.stdout


def test_a_goal_that_is_missed_ends_in_three_and_a_report_is_written_all_the_same(
    done, tmp_path, capsys
):
    goals = tmp_path / "goals.toml"
    goals.write_text('[student_int8]\n"size" = { max = "1 kB" }\n')
    tokens = ["bench", str(done / "run/bundle"), "--goals", str(goals), "--profile", "quick"]
    assert main([*tokens, "-o", str(tmp_path / "report")]) == 3
    assert "verdict: fail" in capsys.readouterr().err
    assert (tmp_path / "report/report.json").is_file()


def test_predict_names_an_image_by_the_bundle(done, tmp_path, capsys):
    pixels, _ = tiny.images(3, seed=9)
    Image.fromarray(pixels[0, :, :, 0]).save(tmp_path / "bars.png")
    assert main(["predict", str(done / "run/bundle"), str(tmp_path / "bars.png"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["predictions"][0]["predictions"]
    assert {item["label"] for item in found} == set(tiny.CLASSES)
    assert sum(item["score"] for item in found) == pytest.approx(1, abs=1e-5)


def test_report_shows_saved_reports_side_by_side(done, tmp_path, capsys):
    saved = str(done / "run/report.json")
    assert main(["report", saved, saved, "-o", str(tmp_path)]) == 0
    assert "student_int8" in capsys.readouterr().out
    assert (tmp_path / "comparison.html").is_file()


def test_a_damaged_bundle_is_refused_by_file(done, tmp_path, capsys):
    copy = tmp_path / "bundle"
    copy.mkdir()
    for path in (done / "run/bundle").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "student.int8.onnx").write_bytes(b"cut")
    assert main(["bench", str(copy), "--profile", "quick"]) == 1
    assert "student.int8.onnx" in capsys.readouterr().err


def test_bench_takes_files_that_are_not_ours(done, tmp_path, capsys):
    files = [str(done / "run/bundle" / name) for name in ("teacher.onnx", "student.int8.onnx")]
    data = str(done / "tiny.npz")
    assert main(["bench", *files, "--data", data, "--profile", "quick", "--json", "-q"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["variants"]) == ["teacher", "student_int8"]
    assert report["settings"]["reference"] == "teacher"


def test_the_distilled_student_and_its_baseline_are_compared_in_the_manifest(done):
    manifest = json.loads((done / "run/student/manifest.json").read_text())
    comparison = manifest["comparison"]["test"]
    kept = np.load(done / "run/student/predictions.npz")
    plain = np.load(done / "run/student/baseline/predictions.npz")
    labels = kept["test_labels"]
    difference = (kept["test_predictions"] == labels).mean() - (
        plain["test_predictions"] == labels
    ).mean()
    assert comparison["difference"]["value"] == pytest.approx(difference)


def test_init_writes_a_recipe_that_run_accepts_and_does_not_overwrite(tmp_path, monkeypatch):
    from compress.recipes import demo_recipe, load_recipe

    monkeypatch.chdir(tmp_path)
    assert main(["init", "-q"]) == 0
    assert Path("recipe.yaml").read_text() == demo_recipe()
    assert set(load_recipe(Path("recipe.yaml"))) == set(yaml.safe_load(demo_recipe()))
    assert main(["init", "-q"]) == 2
    assert main(["init", "-q", "--force"]) == 0


def test_what_export_would_refuse_is_refused_before_the_teacher_is_trained(tmp_path, capsys):
    recipe = _recipe(tmp_path, export={"int8": True, "calibration": "median"})
    assert main(["run", str(recipe), "-o", str(tmp_path / "run"), "-q"]) == 2
    assert "--calibration median: no such range method" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_batch_that_bench_would_not_time_is_refused_before_the_training(tmp_path, capsys):
    recipe = _recipe(tmp_path, export={"int8": True, "batch_size": 4})
    assert main(["run", str(recipe), "-o", str(tmp_path / "run"), "-q"]) == 2
    assert "bench.batch_size: expected 4, at which export fixes" in capsys.readouterr().err
