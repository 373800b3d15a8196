"""Feature losses through the command line: paired, trained, kept apart, and refused in time."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import tiny
from compress.artifacts import MANIFEST, read_json
from compress.cli import main
from compress.stage import RECIPE, read_settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A teacher on the tiny images."""
    folder = tmp_path_factory.mktemp("features")
    tiny.write_npz(folder / "tiny.npz")
    teach = ["train", "--model", "resnet14", "--epochs", "2", *_base(folder)]
    assert main([*teach, "-o", str(folder / "teacher")]) == 0
    return folder


def _base(folder) -> list[str]:
    return ["--data", str(folder / "tiny.npz"), "--threads", "1", "-q", "--batch-size", "32"]


def _distill(folder, out: str, *flags: str, teacher: str = "teacher") -> int:
    command = ["distill", "--teacher", str(folder / teacher), "--student", "resnet8"]
    return main([*command, *_base(folder), "--epochs", "2", "-o", str(folder / out), *flags])


def said_of(capsys) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_a_student_learns_from_logits_and_features_at_once(place):
    flags = ("--method", "kd", "--method", "hint", "--set", "method.hint.weight=1")
    assert _distill(place, "both", *flags, "--with-baseline") == 0
    manifest = read_json(place / "both" / MANIFEST, kind="checkpoint")
    assert {"kd", "hint", "ce"} <= set(manifest["history"][0])
    (layers,) = manifest["layers"]
    assert (layers["student"], layers["teacher"]) == ("stage2", "stage2")
    settings = read_settings(place / "both" / RECIPE)["distill"]
    assert [block["name"] for block in settings["method"]] == ["kd", "hint"]
    assert settings["method"][1]["weight"] == 1
    with safe_open(place / "both" / "connectors.safetensors", "np") as file:
        assert json.loads(file.metadata()["connectors"])["0"]["method"] == "hint"
    # What is deployed is the student, and nothing of what it was trained with.
    names = [set(load_file(place / "both" / f / "model.safetensors")) for f in ("", "baseline")]
    assert names[0] == names[1]
    assert not (place / "both" / "baseline" / "connectors.safetensors").exists()


def test_any_layer_can_be_named_by_its_path_and_side(place, capsys):
    layers = '{"stage2.-1:input": "stage2.-1.conv1", "stage3": "stage3"}'
    flags = ("--method", "attention", "--set", f"method.layers={layers}")
    assert _distill(place, "named", *flags) == 0
    found = read_json(place / "named" / MANIFEST, kind="checkpoint")["layers"]
    assert [(one["student"], one["teacher"]) for one in found] == [
        ("stage2.0:input", "stage2.1.conv1"),
        ("stage3", "stage3"),
    ]
    capsys.readouterr()
    assert _distill(place, "nowhere", "--method", "hint", "--set", "method.layers={stag: a}") == 2
    assert "student layer stag: no such layer; did you mean" in said_of(capsys)
    assert not (place / "nowhere").exists()


def test_a_dry_run_shows_the_pairs_and_the_loss(place, capsys):
    assert _distill(place, "dry", "--method", "attention", "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["student"] for pair in found["layers"]] == ["stage1", "stage2", "stage3"]
    assert found["course"]["sentence"] == "1 ce + 1000 attention"
    assert found["terms"]["attention"]["gradient_norm"] > 0


def test_features_of_a_teacher_that_is_answers_are_refused(place, capsys):
    keep = ["logits", "--teacher", str(place / "teacher"), *_base(place)[:-2], "--views", "1"]
    assert main([*keep, "-o", str(place / "kept")]) == 0
    capsys.readouterr()
    assert _distill(place, "refused", "--method", "rkd", "--views", "1", teacher="kept") == 2
    said = said_of(capsys)
    assert "feature losses need the network itself" in said
    assert "found answers from a file" in said
    assert not (place / "refused").exists()


def test_layers_that_a_method_cannot_compare_are_refused_before_training(place, capsys):
    flags = ("--method", "attention", "--set", "method.layers={head: head}")
    assert _distill(place, "flat", *flags) == 1
    assert "expected feature maps [C, H, W] of both networks" in said_of(capsys)
    assert not (place / "flat").exists()


def test_layers_that_are_frozen_learn_nothing_and_are_refused(place, capsys):
    assert _distill(place, "frozen", "--method", "attention", "--freeze", "4") == 2
    assert "expected weights that are trained before layer stage1" in said_of(capsys)
    assert not (place / "frozen").exists()


def test_the_resolved_recipe_can_be_given_again(place, capsys):
    flags = ("--method", "kd", "--method", "rkd", "--set", "method.kd.temperature=2")
    assert _distill(place, "first", *flags) == 0
    recipe = str(place / "first" / RECIPE)
    assert main(["distill", "--recipe", recipe, "-o", str(place / "first")]) == 0
    assert "finished already" in said_of(capsys)


@pytest.mark.slow
def test_a_new_file_is_all_that_a_method_takes(tmp_path):
    for name in ("compress", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "data")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored if name == "tests" else None)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "compress" / "distill" / "losses" / "logit_mse.py").write_text(NEW_METHOD)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "logit_mse" in run("-m", "compress", "distill", "--help")
    run("tests/method_table.py")
    assert "| `logit_mse` | Regresses" in (tmp_path / "README.md").read_text()
    contract = run("-m", "pytest", "-q", "tests/test_distill_methods_contract.py", "-k", "mse")
    assert "passed" in contract


NEW_METHOD = '''"""Regresses the teacher's logits: what kd tends to at a high temperature.

Source: Kim et al. 2021, Comparing Kullback-Leibler divergence and MSE, arXiv 2105.08919.
"""

from dataclasses import dataclass

import torch

from compress.distill.signals import Defaults, Need, Signals

NEEDS: frozenset[Need] = frozenset({"all logits"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """It has none."""


SMALL_DATA = Defaults(weight=0.1, ce_weight=0.9, settings=Settings())
MANY_CLASSES = Defaults(weight=0.1, ce_weight=0.9, settings=Settings())


def loss(signals: Signals, settings: Settings) -> torch.Tensor:
    """Half the squared difference of the logits.

    Reduction: mean over classes, mean over the batch.
    """
    del settings
    difference = signals.student_logits - signals.teacher_logits.detach()
    return 0.5 * difference.square().mean()
'''
