"""A stranger's own network, checkpoint and photographs through every stage, as the README shows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from compress.cli import main

NET = '''
"""A stranger's network: its own factory, nothing of ours."""
from torch import nn


def wide(num_classes=3, width=24):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * width, num_classes),
    )
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with net.py, a wild checkpoint, and JPEGs of two sizes, one corrupt, one stray."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "net.py").write_text(NET)
    for size, seed, count in ((32, 1, 90), (48, 2, 90)):
        pixels, labels = tiny.images(count, seed, size=size, channels=3)
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            home = folder / "photos" / tiny.CLASSES[label]
            home.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(home / f"{size}-{number}.jpg", quality=95)
    (folder / "photos/bars/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    (folder / "photos/notes.txt").write_text("taken in May")
    return folder


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """`compress train` on the stranger's network, then its weights as people publish them."""
    tokens = ["train", "--model", f"{place}/net.py:wide", "--data", f"{place}/photos", "-q"]
    tokens += ["--epochs", "6", "--batch-size", "16", "--input-size", "32", "-o", f"{place}/own"]
    assert main(tokens) == 0
    from safetensors.torch import load_file

    state = load_file(place / "own/model.safetensors")
    wild = {f"module.{name}": tensor for name, tensor in state.items()}
    wild["module.ema_decay"] = torch.tensor(0.999)  # an extra key, as training scripts leave them
    torch.save({"state_dict": wild, "epoch": 6}, place / "wide.pth")
    return place


def _json(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_the_corrupt_image_and_the_stray_file_are_named(place, capsys):
    tokens = ["train", "--model", "lenet5", "--data", f"{place}/photos", "--epochs", "1"]
    assert main([*tokens, "-o", f"{place}/noted"]) == 0
    said = capsys.readouterr().err
    assert "broken.jpg" in said
    assert "notes.txt" in said


def test_the_whole_chain_from_a_wild_checkpoint(trained, capsys):
    at = str(trained)
    teacher = ["--teacher", f"{at}/net.py:wide", "--teacher-weights", f"{at}/wide.pth"]
    teacher += ["--teacher-size", "32", "--data", f"{at}/photos", "--input-size", "16"]
    student = ["--student", "lenet5", "--epochs", "6", "--batch-size", "16", "-o", f"{at}/student"]
    assert main(["distill", *teacher, *student]) == 0
    said = capsys.readouterr()
    assert "ema_decay" in said.err
    assert "right on validation" in said.err

    assert main(["export", f"{at}/student", "--onnx", "--int8", "-o", f"{at}/bundle", "-q"]) == 0
    capsys.readouterr()
    bench = ["bench", f"{at}/bundle", "--profile", "quick", "--json", "-q"]
    assert main(bench) == 0
    report = _json(capsys)
    assert list(report["variants"]) == ["teacher", "student", "student_int8"]
    assert report["variants"]["teacher"]["accuracy"]["value"] > 0.9
    # The teacher sees 32 px, the student 16 px of the very same photographs.
    sizes = [v["preprocessing"]["size"] for v in _bundle(trained)["variants"].values()]
    assert sizes == [[32, 32], [16, 16], [16, 16]]

    photo = next((trained / "photos/columns").glob("48-*.jpg"))
    assert main(["predict", f"{at}/bundle", str(photo), "--json"]) == 0
    assert _json(capsys)["predictions"][0]["predictions"][0]["label"] in tiny.CLASSES


def _bundle(folder: Path) -> dict:
    return json.loads((folder / "bundle/bundle.json").read_text())


def test_a_student_of_ones_own_can_be_exported_without_any_training_of_ours(trained):
    at = str(trained)
    tokens = ["export", f"{at}/net.py:wide", "--weights", f"{at}/wide.pth", "--input-size", "32"]
    assert main([*tokens, "--data", f"{at}/photos", "-q", "-o", f"{at}/alone"]) == 0
    bundle = json.loads((trained / "alone/bundle.json").read_text())
    assert list(bundle["variants"]) == ["student"]
    assert bundle["variants"]["student"]["metrics"]["validation"]["accuracy"] > 0.9


@pytest.mark.slow
def test_a_thousand_class_network_becomes_the_teacher_at_224_of_a_student_at_32(
    place, tmp_path, monkeypatch
):
    """torchvision's weights come from its cache, where a user without network puts them."""
    import torchvision

    weights = torchvision.models.ResNet18_Weights.DEFAULT
    cached = tmp_path / "hub/checkpoints" / weights.url.rsplit("/", 1)[-1]
    cached.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), cached)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    small = tmp_path / "few"
    for name in tiny.CLASSES:
        (small / name).mkdir(parents=True)
        for path in sorted((place / "photos" / name).glob("32-*.jpg"))[:10]:
            (small / name / path.name).write_bytes(path.read_bytes())
    tokens = ["train", "--model", "torchvision:resnet18", "--pretrained", "--replace-head"]
    tokens += ["--freeze", "8", "--data", str(small), "--epochs", "1", "--batch-size", "8", "-q"]
    assert main([*tokens, "-o", str(tmp_path / "teacher")]) == 0
    manifest = json.loads((tmp_path / "teacher/manifest.json").read_text())
    assert manifest["preprocessing"]["size"] == [224, 224]
    assert np.allclose(manifest["preprocessing"]["mean"], [123.675, 116.28, 103.53])

    tokens = ["distill", "--teacher", str(tmp_path / "teacher"), "--student", "resnet8"]
    tokens += ["--input-size", "32", "--data", str(small), "--epochs", "1", "--batch-size", "8"]
    assert main([*tokens, "-q", "-o", str(tmp_path / "student")]) == 0
    student = json.loads((tmp_path / "student/manifest.json").read_text())
    assert student["preprocessing"]["size"] == [32, 32]
    assert student["teacher"]["preprocessing"]["size"] == [224, 224]
