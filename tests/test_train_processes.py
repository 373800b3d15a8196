"""Several processes that torchrun starts: they train the network that one process would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tiny
from compress.artifacts import MANIFEST
from compress.models.norms import batch_norm_kind
from compress.training.processes import Processes

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


HERE = Path(__file__).parent


def launch(folder: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess:
    """A program, in `folder`, by so many processes of one thread each."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run(folder: Path, processes: int, *arguments: str) -> None:
    """A command of ours that comes to its end."""
    done = launch(folder, processes, "-m", "compress", *arguments)
    assert done.returncode == 0, done.stderr


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
    run(folder, 1, *teach, "-o", "taught-by-one")
    stopped = launch(folder, 2, str(HERE / "stopped_command.py"), *teach, "-o", "taught-by-two")
    (folder / "stopped.txt").write_text(stopped.stderr)
    shutil.copy(folder / "taught-by-two" / "training-state.pt", folder / "stopped.pt")
    run(folder, 2, *teach, "-o", "taught-by-two")  # goes on
    frozen = ("train", *common, "--model", "net.py:network", "--epochs", "1", "--clip-norm", "0")
    for processes, name in ((1, "frozen-one"), (2, "frozen-two")):
        run(folder, processes, *frozen, "--batch-size", "95", "-o", name)
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> tuple[Path, list[dict]]:
    """What each of two processes found, said and ended with; see processes_driver.py."""
    folder = tmp_path_factory.mktemp("scenes")
    launch(folder, 2, str(HERE / "processes_driver.py"))
    return folder, [json.loads((folder / f"process-{k}.json").read_text()) for k in range(2)]


def said(scenes, scene: str) -> tuple[str, str]:
    """By the first process and the second, both of which failed."""
    assert [process[scene]["code"] for process in scenes[1]] == [1, 1]
    first, second = (process[scene]["said"] for process in scenes[1])
    return first, second


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


def test_sigterm_saves_and_is_said_once(place):
    state = torch.load(place / "stopped.pt", weights_only=True)
    assert state["position"]["step"] == 5
    assert [(place / f"stopped-{rank}").read_text() for rank in range(2)] == ["130", "130"]
    assert (place / "stopped.txt").read_text().count("compress: ") == 1
    assert "compress: interrupted; what was finished is kept" in (place / "stopped.txt").read_text()
    assert not list(place.glob("compress-error-*"))


def test_all_processes_get_the_buffers_of_the_first(scenes):
    first, second = (process["buffers"]["result"] for process in scenes[1])
    assert first == second
    assert first["running_mean"] == [1, 1, 1]
    assert first["mask"] == [True, True]
    assert (first["num_batches_tracked"], first["small"]) == ([0], [0] * 6)


def test_logits_of_several_processes_are_those_of_the_network_that_is_saved(scenes):
    assert [process["evaluation"]["result"] for process in scenes[1]] == [0, 0]


def test_what_the_first_process_refuses_is_said_once(scenes):
    assert said(scenes, "first_refuses") == (
        "compress: torch is not installed; install it with: pip install 'edge-compress[train]'\n",
        "",
    )
    first, second = said(scenes, "other_settings")
    assert "epochs: 3 there, 4 asked" in first
    assert second == ""


def test_what_all_processes_meet_is_said_once(scenes):
    expected = "compress: photos: expected images, found none\n"
    assert said(scenes, "both_fail") == (expected, "")


def test_what_one_process_meets_alone_is_said_with_its_number(scenes):
    assert said(scenes, "second_fails") == ("", "compress: process 1: expected a finite loss\n")


def test_processes_that_go_on_from_different_steps_are_refused(scenes):
    first, second = said(scenes, "another_step")
    assert first == ""
    assert "process 1: training net: step of the state: expected 40" in second
    assert "found 39" in second


def test_a_fault_is_reported_by_the_process_that_met_it(scenes):
    for scene in ("both_are_at_fault", "first_is_at_fault"):
        first, second = said(scenes, scene)
        assert "a fault of this tool (IndexError" in first
        assert second == ""
    assert len(list(scenes[0].glob("compress-error-*"))) == 2


def test_an_interrupted_process_interrupts_the_others(scenes):
    first, second = (process["second_is_interrupted"] for process in scenes[1])
    assert (first["code"], second["code"]) == (130, 130)
    assert first["said"].startswith("compress: interrupted")
    assert second["said"] == ""


def test_a_process_that_is_killed_is_missed_by_the_others(scenes):
    left = scenes[1][0]["second_is_killed"]
    assert left["code"] == 1
    assert "found one gone without a word" in left["said"]


def test_weights_that_are_never_used_are_named(scenes):
    first, second = said(scenes, "unused_weights")
    assert "found extra.weight, extra.bias without a gradient" in first
    assert second == ""


def test_gradients_of_network_and_connectors_are_those_of_one_process(scenes):
    for process in scenes[1]:
        for difference, largest in process["pupil_gradients"]["result"]:
            assert difference < 1e-5 * largest
            assert largest > 0.01


def test_statistics_of_a_part_are_not_called_those_of_the_step():
    norm, cpu, cuda = torch.nn.BatchNorm2d(2), torch.device("cpu"), torch.device("cuda")
    alone, two = Processes(), Processes(rank=0, count=2)
    assert alone.batch_norm(norm, cpu)[1] == "whole step"
    assert alone.batch_norm(norm, cpu, accumulate=4)[1] == "per part"
    assert two.batch_norm(norm, cpu)[1] == "per process"
    assert two.batch_norm(norm, cpu, accumulate=4)[1] == "per part"
    synchronised, kind = two.batch_norm(norm, cuda, accumulate=4)
    assert kind == "synchronised per part"
    assert isinstance(synchronised, torch.nn.SyncBatchNorm)


def test_statistics_of_a_batch_are_told_from_none_and_from_frozen_ones():
    norm = torch.nn.BatchNorm2d(2)
    assert batch_norm_kind(torch.nn.Linear(1, 1)) == "none"
    assert batch_norm_kind(torch.nn.Sequential(norm)) == "whole step"
    assert batch_norm_kind(norm.requires_grad_(requires_grad=False)) == "frozen"
