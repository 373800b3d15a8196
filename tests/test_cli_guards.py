"""What must not pass in silence: leaks between splits, stale results, damage, late refusals."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import tiny
from compress.artifacts import MANIFEST, read_json
from compress.cli import main
from compress.recipes import override

NET = """
from torch import nn
def net(num_classes):
    features = 4 * (17 - {kernel}) ** 2
    layers = nn.Conv2d(1, 4, {kernel}), nn.Flatten(), nn.Linear(features, num_classes)
    return nn.Sequential(*layers)
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*tokens: object) -> tuple[int, str]:
        code = main([str(token) for token in tokens])
        said = capsys.readouterr()
        assert "fault of this tool" not in said.err, said.err
        return code, said.err

    return call


@pytest.fixture
def npz(tmp_path) -> Path:
    return tiny.write_npz(tmp_path / "tiny.npz")


@pytest.fixture
def photos(tmp_path) -> Path:
    pixels, labels = tiny.images(60, seed=1)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        home = tmp_path / "photos" / tiny.CLASSES[label]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(home / f"{number}.png")
    return tmp_path / "photos"


TRAIN = ("train", "--model", "lenet5", "--epochs", "1", "-q")


def test_another_seed_leaves_the_splits_as_they_are(run, photos):
    assert run(*TRAIN, "--data", photos, "-o", "a")[0] == 0
    assert run(*TRAIN, "--data", photos, "--seed", "7", "-o", "b")[0] == 0
    records = [read_json(Path(name) / MANIFEST, kind="checkpoint")["data"] for name in "ab"]
    assert records[0]["fingerprint"] == records[1]["fingerprint"]


def test_a_teacher_of_other_splits_of_the_same_images_is_refused(run, photos):
    assert run(*TRAIN, "--data", photos, "-o", "teacher")[0] == 0
    code, said = run(
        "distill", "--teacher", "teacher", "--student", "lenet5", "--data", photos,
        "--split-seed", "1", "-o", "student",
    )  # fmt: skip
    assert code == 1
    assert "in other splits" in said


def test_an_edited_network_file_is_another_run_not_a_finished_one(run, npz):
    Path("net.py").write_text(NET.format(kernel=3))
    tokens = ("train", "--model", "net.py:net", "--data", npz, "--epochs", "1", "-q", "-o", "out")
    assert run(*tokens)[0] == 0
    Path("net.py").write_text(NET.format(kernel=5))
    code, said = run(*tokens)
    assert code == 1
    assert "source_sha256" in said


def test_a_damaged_finished_checkpoint_is_not_called_finished(run, npz):
    assert run(*TRAIN, "--data", npz, "-o", "out")[0] == 0
    weights = Path("out/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    code, said = run(*TRAIN, "--data", npz, "-o", "out")
    assert code == 1
    assert "give --force" in said
    assert run(*TRAIN, "--data", npz, "-o", "out", "--force")[0] == 0


def test_a_refused_command_does_not_block_the_corrected_one(run, npz):
    wrong = ("train", "--model", "lenet5", "--model-args", '{"no": 1}', "--data", npz, "-o", "out")
    assert run(*wrong)[0] == 1
    assert run(*TRAIN, "--data", npz, "-o", "out")[0] == 0


def test_weights_that_diverged_in_the_last_step_are_no_result(run, npz):
    code, said = run(*TRAIN, "--data", npz, "-o", "out", "--lr", "1e30", "--clip-norm", "0",
                     "--warmup", "0", "--batch-size", "96")  # fmt: skip
    assert code == 1
    assert "NaN" in said or "finite" in said
    assert not Path("out/manifest.json").exists()


def test_code_that_lies_in_a_received_checkpoint_is_not_run(run, npz):
    assert run(*TRAIN, "--data", npz, "-o", "sent")[0] == 0
    Path("sent/evil.py").write_text("raise SystemExit('CODE RAN')")
    manifest = Path("sent") / MANIFEST
    import hashlib
    import json

    content = json.loads(manifest.read_text())
    content["model"]["reference"] = "sent/evil.py:net"
    digest = hashlib.sha256(Path("sent/evil.py").read_bytes()).hexdigest()
    content["model"]["source_sha256"] = digest
    manifest.write_text(json.dumps(content))
    code, said = run("export", "sent", "-o", "bundle")
    assert code == 1
    assert "code that comes with a checkpoint is not run" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distill": {"student": "lenet5", "temperature": -1}}, "--temperature"),
        ({"distill": {"student": "lenet5", "method": "kdd"}}, "method"),
        ({"bench": {"profile": "qiuck"}}, "quick"),
        ({"goals": {"student": {"siez": {"max": "1 kB"}}}}, "size"),
        ({"goals": {"student_int8": {"size": {"max": "1 kB"}}}, "export": {}}, "student_int8"),
        ({"train": {"model": "lenet5", "epochs": 0}}, "--epochs"),
    ],
)
def test_a_recipe_is_refused_before_the_first_stage(run, npz, tmp_path, change, said):
    recipe = {
        "run": {"data": str(npz)},
        "train": {"model": "lenet5"},
        "distill": {"student": "lenet5"},
        "export": {"int8": True},
        **change,
    }
    Path("r.yaml").write_text(yaml.safe_dump(recipe))
    code, message = run("run", "r.yaml", "-o", "out")
    assert code == 2
    assert said in message
    assert not Path("out").exists()


def test_a_flag_of_run_goes_before_a_sections_key():
    recipe = {"run": {"seed": 1}, "train": {"model": "lenet5", "seed": 3}, "goals": {"a": {}}}
    merged = override(recipe, {"seed": 5})
    assert merged["train"] == {"model": "lenet5", "seed": 5}
    assert merged["run"] == {"seed": 5}
    assert merged["goals"] == {"a": {}}


def test_flags_that_a_checkpoint_folder_would_ignore_are_refused(run, npz):
    assert run(*TRAIN, "--data", npz, "-o", "teacher")[0] == 0
    code, said = run(
        "distill", "--teacher", "teacher", "--teacher-size", "8", "--student", "lenet5",
        "--data", npz, "-o", "student",
    )  # fmt: skip
    assert code == 2
    assert "--teacher-size" in said


def test_a_teacher_that_does_not_exist_is_named_as_such(run, npz):
    tokens = ("--student", "lenet5", "--data", npz, "-o", "student")
    code, said = run("distill", "--teacher", "nofolder", *tokens)
    assert code == 2
    assert "nofolder" in said
    assert "found none of them" in said


def test_the_resolved_recipe_stands_beside_the_results_of_run(run, npz):
    recipe = {"run": {"data": str(npz)}, "train": {"model": "lenet5", "epochs": 1},
              "bench": {"profile": "quick"}}  # fmt: skip
    Path("r.yaml").write_text(yaml.safe_dump(recipe))
    assert run("run", "r.yaml", "-o", "out", "--seed", "9", "-q")[0] == 0
    saved = yaml.safe_load(Path("out/recipe.yaml").read_text())
    assert saved["train"]["seed"] == 9
    assert np.isclose(saved["train"]["epochs"], 1)
