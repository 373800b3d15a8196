"""What int8 costs trained networks: README's table of test accuracy, float32 beside int8.

`pytest -s benchmarks/suite/test_quantization_accuracy.py --out trained/`: three families on all
60,000 images of Fashion-MNIST, three seeds each, by the command line; all 10,000 test images on the
ONNX files. `-k by_method` compares the ways to find ranges. Given again with the same --out it
trains and exports nothing anew.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifacts import BUNDLE, read_json, write_json
from compress.data.open import open_dataset
from compress.intervals import paired_difference
from compress.preprocess import Preprocessing
from compress.training.runs import run_folder
from compress_export.calibration import list_methods
from suite.quantization_peers import answer

SEEDS = 3
DATA = "fashion-mnist"
TRAINING = ("--epochs", "4", "--lr", "0.1", "--augment", "crop+flip", "--threads", "1")


@dataclass(frozen=True)
class Subject:
    """A family, how its network is named on the command line, and what int8 may cost it.

    Attributes:
        model: flags that choose the network.
        largest_drop: points of test accuracy, mean of the seeds; None where it is only reported.
    """

    model: tuple[str, ...]
    largest_drop: float | None


SUBJECTS = {
    "residual": Subject(("--model", "resnet8"), 0.3),
    "depthwise": Subject(("--model", "mobilenet", "--model-args", '{"width": 0.25}'), 0.5),
    "se": Subject(("--model", "torchvision:mobilenet_v3_small", "--input-size", "32"), None),
}


@pytest.fixture(scope="module")
def kept(request, tmp_path_factory):
    """Where checkpoints, bundles and results go."""
    return request.config.getoption("--out") or tmp_path_factory.mktemp("trained")


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_int8_costs(name, kept, capsys):
    with capsys.disabled():
        found = measure(name, kept, "auto")
        print("\n" + "\n".join(table({name: found})))
    limit = SUBJECTS[name].largest_drop
    assert limit is None or 100 * found["drop"]["value"] <= limit


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_it_costs_by_method(name, kept, capsys):
    with capsys.disabled():
        found = {f"{name}, {method}": measure(name, kept, method) for method in list_methods()}
        print("\n" + "\n".join(table(found)))
    assert min(result["drop"]["value"] for result in found.values()) < 0.01


def measure(name: str, out: Path, method: str) -> dict[str, Any]:
    """Accuracies of every seed on every test image, and the paired drop.

    Args:
        name: of the family.
        out: holds its checkpoints, and its bundles by method.
        method: of calibration.
    """
    folder = out / name
    if not (folder / "manifest.json").is_file():
        command("train", *SUBJECTS[name].model, *TRAINING, "--runs", str(SEEDS), out=folder)
    bundles = [export(run_folder(folder, k), out / "int8" / name / method, k) for k in range(SEEDS)]
    float32, int8 = (
        np.stack([right(bundle, role) for bundle in bundles])
        for role in ("student", "student_int8")
    )
    checks = [read_json(bundle / BUNDLE, kind="bundle")["checks"]["int8"] for bundle in bundles]
    found = {
        "float32": float32.mean(axis=1).tolist(),
        "int8": int8.mean(axis=1).tolist(),
        "drop": paired_difference(float32, int8).to_dict(),
        "images": float32.shape[1],
        "methods": [str(found.get("method", method)) for found in checks],
    }
    write_json(out / "int8" / name / method / "result.json", found)
    return found


def export(checkpoint: Path, folder: Path, number: int) -> Path:
    """The bundle of one seed."""
    method = folder.name
    bundle = folder / f"seed-{number}"
    flags = ("--int8", "--calibration", method, "--no-latency", "--threads", "1")
    command("export", str(checkpoint), *flags, out=bundle)
    return bundle


def command(stage: str, *flags: str, out: Path) -> None:
    """One command of ours; it ends at once where its result is there already."""
    data = ("--data", DATA) if stage == "train" else ()
    arguments = [sys.executable, "-m", "compress", stage, *flags, *data, "--quiet", "-o", str(out)]
    subprocess.run(arguments, check=True)


def right(bundle: Path, role: str) -> np.ndarray:
    """1 where a file names a test image rightly: [images], all of the test split."""
    entry = read_json(bundle / BUNDLE, kind="bundle")["variants"][role]
    test = open_dataset(DATA).test
    pixels = test.images.batch(np.arange(len(test)), (28, 28))
    spec = Preprocessing.from_dict(entry["preprocessing"])
    logits = answer(bundle / entry["file"], pixels, spec, threads=1)
    return (logits.argmax(axis=1) == test.labels).astype(np.float64)


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """A row a result, in Markdown."""
    lines = [
        "| family | float32 | int8 | drop in points, 95 % | ranges by |",
        "|---|---|---|---|---|",
    ]
    for name, found in results.items():
        low, value, high = (100 * found["drop"][key] for key in ("low", "value", "high"))
        lines.append(
            f"| {name} | {percents(found['float32'])} | {percents(found['int8'])} | "
            f"{value:+.2f} ({low:+.2f} to {high:+.2f}) | {', '.join(found['methods'])} |"
        )
    return lines


def percents(accuracies: Sequence[float]) -> str:
    """The mean, and each seed."""
    each = ", ".join(f"{100 * value:.2f}" for value in accuracies)
    return f"{100 * np.mean(accuracies):.2f} % ({each})"
