"""Bad input through the command line: one sentence, the exit code, nothing half-written."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import tiny
from compress.cli import main

COMPRESS = [sys.executable, "-m", "compress"]


@pytest.fixture(scope="module")
def npz(tmp_path_factory) -> Path:
    return tiny.write_npz(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, npz) -> Path:
    out = tmp_path_factory.mktemp("runs") / "teacher"
    tokens = ["train", "--model", "lenet5", "--data", str(npz), "--epochs", "1", "-q"]
    assert main([*tokens, "-o", str(out)]) == 0
    return out


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command here and give back its exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def call(*tokens: object) -> tuple[int, str]:
        code = main([str(token) for token in tokens])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert not list(tmp_path.glob("compress-error-*.log")), said.err
        return code, said.err

    return call


def _folder(root: Path, classes: dict[str, int], size: int = 16) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number, pixels in enumerate(
            tiny.images(count, seed=len(name), size=size, channels=3)[0]
        ):
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def _copy(checkpoint: Path, to: Path) -> Path:
    shutil.copytree(checkpoint, to)
    return to


def test_a_missing_class_folder_is_named(run, tmp_path):
    _folder(tmp_path / "photos/train", {"cat": 6, "dog": 6})
    _folder(tmp_path / "photos/test", {"cat": 3})
    code, said = run("train", "--model", "lenet5", "--data", "photos", "-o", "out")
    assert code == 1
    assert "photos" in said
    assert "dog" in said


def test_many_corrupt_images_are_refused_by_count_and_name(run, tmp_path):
    photos = _folder(tmp_path / "photos", {"cat": 20, "dog": 20})
    for number in range(10):
        (photos / "cat" / f"{number}.png").write_bytes(b"not an image")
    code, said = run("train", "--model", "lenet5", "--data", "photos", "-o", "out")
    assert code == 1
    assert "10" in said
    assert "--max-bad" in said
    assert not (tmp_path / "out/manifest.json").exists()


def test_a_data_folder_that_is_not_there_is_named(run):
    code, said = run("train", "--model", "lenet5", "--data", "no/such/folder", "-o", "out")
    assert code == 1
    assert "no/such/folder" in said


def test_a_truncated_checkpoint_is_refused_by_its_digest(run, tmp_path, teacher, npz):
    copy = _copy(teacher, tmp_path / "copy")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    code, said = run(
        "distill", "--teacher", copy, "--student", "lenet5", "--data", npz, "-o", "out"
    )
    assert code == 1
    assert "model.safetensors: sha256 differs from manifest.json" in said


def test_a_truncated_foreign_checkpoint_is_refused(run, tmp_path, npz):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:2000])
    code, said = run(
        "train", "--model", "lenet5", "--weights", "cut.pth", "--data", npz, "-o", "out"
    )
    assert code == 1
    assert "cut.pth" in said


def test_nan_in_weights_is_refused_by_tensor(run, tmp_path, teacher, npz):
    tensors = load_file(teacher / "model.safetensors")
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, tmp_path / "nan.safetensors")
    code, said = run(
        "train", "--model", "lenet5", "--weights", "nan.safetensors", "--data", npz, "-o", "out"
    )
    assert code == 1
    assert name in said


def test_a_teacher_of_another_number_of_classes_is_refused(run, tmp_path, teacher):
    x, y = tiny.images(60, seed=5)
    y = np.arange(60) % 4
    np.savez(tmp_path / "four.npz", x_train=x[..., 0], y_train=y, x_test=x[..., 0], y_test=y)
    code, said = run(
        "distill", "--teacher", teacher, "--student", "lenet5", "--data", "four.npz", "-o", "out"
    )
    assert code == 1
    assert "expected the classes of" in said
    assert "found 3" in said


def test_weights_of_another_number_of_classes_are_refused_with_both(run, tmp_path, npz):
    torch.save({"fc.weight": torch.zeros(7, 4)}, tmp_path / "seven.pth")
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net(num_classes=7):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(256, 7))\n"
    )
    code, said = run("train", "--model", "net.py:net", "--data", npz, "-o", "out")
    assert code == 1
    assert "expected 3 classes, found 7" in said
    assert "--replace-head" in said


def test_a_teacher_with_another_normalisation_is_refused_with_the_right_flags(
    run, teacher, npz, tmp_path
):
    strong = tmp_path / "strong"
    code, _ = run(
        "train", "--model", "lenet5", "--data", npz, "--epochs", "12", "--batch-size", "16",
        "-q", "-o", strong,
    )  # fmt: skip
    assert code == 0
    (tmp_path / "net.py").write_text(
        "from compress.models.lenet import lenet5\n"
        "def net(num_classes):\n"
        "    return lenet5(num_classes=num_classes, channels=1, input_size=(16, 16))\n"
    )
    code, said = run(
        "distill", "--teacher", "net.py:net", "--teacher-weights", strong / "model.safetensors",
        "--teacher-mean", "0", "--teacher-scale", "25500",
        "--student", "lenet5", "--data", npz, "-o", "out",
    )  # fmt: skip
    assert code == 1
    assert "right with the normalisation --teacher-mean" in said
    assert "--teacher-mean" in said


def test_a_full_disk_keeps_what_was_saved_and_leaves_no_half_written_file(npz, tmp_path):
    # A limit on the size of files stands for the full disk: the state of training does not fit.
    result = subprocess.run(
        [*COMPRESS, "train", "--model", "lenet5", "--data", str(npz), "-o", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "cannot be written" in result.stderr
    assert "free some space" in result.stderr
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"recipe.yaml", "history.csv", "tensorboard"}


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["distil"], "Did you mean"),
        (["train", "--model", "lenet5", "--epoch", "3"], "--epoch"),
        (["train", "--model", "lenet5", "--epochs", "three"], "--epochs"),
        (["train", "--model", "lenet55", "--data", "demo", "-o", "x"], "lenet5"),
        (["train", "--model", "lenet5", "-o", "x"], "--data"),
        (["train", "--model", "lenet5", "--data", "demo"], "--out"),
        (["distill", "--student", "lenet5", "--data", "demo", "-o", "x"], "--teacher"),
        (["run", "no.yaml"], "no.yaml"),
        (["train", "--model", "lenet5", "--data", "demo", "-o", "x", "--epochs", "0"], "--epochs"),
        (["train", "--model", "lenet5", "--data", "demo", "-o", "x", "--lr", "nan"], "--lr"),
        (
            ["train", "--model", "lenet5", "--data", "demo", "-o", "x", "--threads", "0"],
            "--threads",
        ),
        (["train", "--model", "lenet5", "--data", "demo", "-o", "x", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_flags_and_names_end_in_their_code_and_are_named(run, tokens, said):
    code, message = run(*tokens)
    assert code == (1 if "lenet55" in tokens else 2)  # an unknown network is a failure of its own
    assert said in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trian: {model: lenet5}", 'did you mean "train"?'),
        ("train: {modle: lenet5}", 'did you mean "model"?'),
        ("distill: {student: lenet5, temprature: 3}", 'did you mean "temperature"?'),
        ("train: [", "expected a YAML recipe"),
        ("train: {model: lenet5, epochs: many}", "epochs"),
        ("- a", "expected sections"),
    ],
)
def test_unknown_sections_keys_and_values_of_a_recipe_are_refused(run, tmp_path, text, said):
    (tmp_path / "recipe.yaml").write_text(text)
    code, message = run("run", "recipe.yaml")
    assert code == 2
    assert said in message


def test_a_folder_of_other_settings_is_refused_with_the_difference(run, teacher, npz):
    code, said = run("train", "--model", "lenet5", "--data", npz, "--epochs", "2", "-o", teacher)
    assert code == 1
    assert "epochs: 1 there, 2 asked" in said


def test_a_folder_of_other_files_is_not_touched_even_with_force(run, tmp_path, npz):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    code, said = run("train", "--model", "lenet5", "--data", npz, "-o", "mine", "--force")
    assert code == 1
    assert "found other files" in said
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def _start(tmp_path: Path, npz: Path, out: str) -> subprocess.Popen:
    tokens = ["train", "--model", "lenet5", "--data", str(npz), "--epochs", "40", "--threads", "1"]
    return subprocess.Popen(
        [*COMPRESS, *tokens, "-q", "-o", out], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )


def _end(process: subprocess.Popen) -> str:
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    return said


def _wait_until_saved(state: Path, process: subprocess.Popen, *, after: float = 0.0) -> None:
    deadline = time.monotonic() + 60
    while not state.exists() or state.stat().st_mtime <= after:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_and_kill_lose_nothing_and_the_same_command_goes_on_to_the_same_weights(
    tmp_path, npz
):
    state = tmp_path / "cut/training-state.pt"
    whole = _start(tmp_path, npz, "whole")
    _end(whole)
    assert whole.returncode == 0

    stopped = _start(tmp_path, npz, "cut")
    _wait_until_saved(state, stopped)
    stopped.send_signal(signal.SIGINT)
    said = _end(stopped)
    assert stopped.returncode == 130
    assert "give the same command again" in said

    killed = _start(tmp_path, npz, "cut")
    _wait_until_saved(state, killed, after=state.stat().st_mtime)
    killed.kill()
    _end(killed)
    assert killed.returncode == -signal.SIGKILL

    resumed = _start(tmp_path, npz, "cut")
    _end(resumed)
    assert resumed.returncode == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
