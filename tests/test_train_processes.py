"""Several processes that torchrun starts: they train the network that one process would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tiny
from compress.artifacts import MANIFEST
from compress.models.norms import batch_norm_kind

pytestmark = pytest.mark.slow  # each command imports torch once a process

# Statistics that do not move: then two processes have the gradients of one.
FROZEN_BATCH_NORM = """
from torch import nn

def network(num_classes, channels=1):
    net = nn.Sequential(
        nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )
    net[1].requires_grad_(False)
    return net
"""


def run(folder: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess:
    """A command of ours, in `folder`, by so many processes of one thread each."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "compress", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def largest_difference(one: Path, other: Path) -> float:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return max(float((first[k].double() - second[k].double()).abs().max()) for k in first)


def manifest(folder: Path) -> dict:
    return json.loads((folder / MANIFEST).read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    # 95 images in three steps of 32, 32 and 31: no part divides evenly.
    tiny.write_npz(folder / "tiny.npz", train=95)
    (folder / "net.py").write_text(FROZEN_BATCH_NORM)
    common = ("--data", "tiny.npz", "--threads", "1", "-q")
    train = ("train", *common, "--batch-size", "32", "--epochs", "3", "--model", "lenet5")
    run(folder, 1, *train, "-o", "one")
    teach = (
        "distill",
        *common,
        "--batch-size",
        "32",
        "--teacher",
        "one",
        "--student",
        "lenet5",
        "--epochs",
        "4",
    )
    teach += ("--views", "2", "--mixup", "0.4", "--labels", "30", "--seed", "1")
    for processes, name in ((1, "taught-by-one"), (2, "taught-by-two")):
        run(folder, processes, *teach, "-o", name)
    frozen = ("train", *common, "--model", "net.py:network", "--epochs", "1", "--clip-norm", "0")
    for processes, name in ((1, "frozen-one"), (2, "frozen-two")):
        run(folder, processes, *frozen, "--batch-size", "95", "-o", name)
    return folder


def test_two_processes_train_the_network_of_one(place):
    one, two = place / "taught-by-one", place / "taught-by-two"
    # Float error only: the sums of a step are taken in another order.
    assert largest_difference(one, two) < 1e-5
    rows = zip(manifest(one)["history"], manifest(two)["history"], strict=True)
    for expected, found in rows:
        for name in ("loss", "kd", "ce", "train_accuracy", "validation_accuracy"):
            assert found[name] == pytest.approx(expected[name], rel=1e-4), name


def test_the_logits_that_two_processes_keep_are_those_of_one(place):
    files = sorted(p.name for p in (place / "taught-by-one" / "logits").glob("view-*"))
    assert files
    for name in files:
        first, second = (place / f"taught-by-{k}" / "logits" / name for k in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_gradients_are_those_of_one_process_where_batch_norm_is_frozen(place):
    # One step without clipping: the weights differ by the gradients alone.
    assert largest_difference(place / "frozen-one", place / "frozen-two") < 1e-6
    assert manifest(place / "frozen-two")["batch_norm"] == "frozen"


def test_the_manifest_says_who_trained_and_on_what_statistics(place):
    found = manifest(place / "taught-by-two")
    assert (found["processes"], found["batch_norm"]) == (2, "none")
    assert manifest(place / "taught-by-one")["processes"] == 1


def test_another_number_of_processes_does_not_go_on_with_the_same_run(place):
    command = [sys.executable, "-m", "compress", "distill", "--data", "tiny.npz", "--threads", "1"]
    command += ["--batch-size", "32", "--teacher", "one", "--student", "lenet5", "--epochs", "4"]
    command += ["--views", "2", "--mixup", "0.4", "--labels", "30", "--seed", "1"]
    command += ["-o", "taught-by-two"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "processes: 2 there, 1 asked" in done.stderr


def test_statistics_of_a_batch_are_told_from_none_and_from_frozen_ones():
    norm = torch.nn.BatchNorm2d(2)
    assert batch_norm_kind(torch.nn.Linear(1, 1)) == "none"
    assert batch_norm_kind(torch.nn.Sequential(norm)) == "whole step"
    assert batch_norm_kind(norm.requires_grad_(requires_grad=False)) == "frozen"
