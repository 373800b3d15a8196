"""Families that are trained on all of Fashion-MNIST by the command line, exported, and compared."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import BUNDLE, MANIFEST, read_json, write_json
from compress.data.open import open_dataset
from compress.intervals import paired_difference
from compress.preprocess import Preprocessing
from compress.training.runs import run_folder
from suite.quantization_peers import answer

SEEDS = 3
DATA = "fashion-mnist"
TRAINING = ("--epochs", "4", "--lr", "0.1", "--augment", "crop+flip", "--threads", "1")

# How each family's network is named on the command line.
FAMILIES = {
    "residual": ("--model", "resnet8"),
    "depthwise": ("--model", "mobilenet", "--model-args", '{"width": 0.25}'),
    "se": ("--model", "torchvision:mobilenet_v3_small", "--input-size", "32"),
}
# Distilled from TEACHER: so small that plain int8 costs it something.
TAUGHT = {"tiny": ("--student", "ds_cnn", "--model-args", '{"width": 0.25}')}
TEACHING = ("--epochs", "6", "--lr", "0.1", "--augment", "flip", "--views", "2", "--threads", "1")
TEACHER = ("--model", "resnet14", "--model-args", '{"width": 2, "first_stride": 2}')


@dataclass(frozen=True)
class Exported:
    """One way to export.

    Attributes:
        name: of the folder that holds its bundles.
        flags: of compress export, beside --int8.
    """

    name: str
    flags: tuple[str, ...]


def trained(name: str, out: Path) -> Path:
    """The checkpoint of a family's first seed, which holds the others; made where it is missing."""
    folder = out / name
    runs = ("--runs", str(SEEDS))
    if not (folder / MANIFEST).is_file() and name in TAUGHT:
        taught = ("--teacher", str(teacher(out)), *TAUGHT[name])
        command("distill", *taught, *TEACHING, *runs, out=folder)
    elif not (folder / MANIFEST).is_file():
        command("train", *FAMILIES[name], *TRAINING, *runs, out=folder)
    return folder


def teacher(out: Path) -> Path:
    """A larger network, trained alike; made where it is missing."""
    folder = out / "teacher"
    if not (folder / MANIFEST).is_file():
        command("train", *TEACHER, *TRAINING, out=folder)
    return folder


def compare(name: str, out: Path, exported: Exported) -> dict[str, Any]:
    """Accuracies of every seed on every test image, and the paired drop.

    Args:
        name: of the family.
        out: holds its checkpoints, and its bundles by the way they were exported.
        exported: that way.
    """
    bundles = export_seeds(name, out, exported)
    float32, int8 = (rights(bundles, role) for role in ("student", "student_int8"))
    checks = [read_json(bundle / BUNDLE, kind="bundle")["checks"]["int8"] for bundle in bundles]
    found = {
        "float32": float32.mean(axis=1).tolist(),
        "int8": int8.mean(axis=1).tolist(),
        "drop": paired_difference(float32, int8).to_dict(),
        "images": float32.shape[1],
        "methods": [str(check["method"]) for check in checks],
        "steps": [last_step(check) for check in checks],
    }
    write_json(bundles[0].parent / "result.json", found)
    return found


def export_seeds(name: str, out: Path, exported: Exported) -> list[Path]:
    """The bundle of each seed."""
    checkpoint = trained(name, out)
    folder = out / "int8" / name / exported.name
    bundles = [folder / f"seed-{number}" for number in range(SEEDS)]
    flags = ("--int8", "--no-latency", "--threads", "1", *exported.flags)
    for number, bundle in enumerate(bundles):
        command("export", str(run_folder(checkpoint, number)), *flags, out=bundle)
    return bundles


def last_step(check: dict[str, Any]) -> str:
    """The step of the repair that was delivered."""
    return next(str(step["name"]) for step in check["repair"]["steps"] if step["delivered"])


def command(stage: str, *flags: str, out: Path) -> None:
    """One command of ours; it ends at once where its result is there already."""
    data = ("--data", DATA) if stage in ("train", "distill") else ()
    arguments = [sys.executable, "-m", "compress", stage, *flags, *data, "--quiet", "-o", str(out)]
    subprocess.run(arguments, check=True)


def rights(bundles: Sequence[Path], role: str) -> NDArray[np.float64]:
    """1 where a file names a test image rightly: [seeds, images], all of the test split."""
    test = open_dataset(DATA).test
    pixels = test.images.batch(np.arange(len(test)), (28, 28))
    rows = []
    for bundle in bundles:
        entry = read_json(bundle / BUNDLE, kind="bundle")["variants"][role]
        spec = Preprocessing.from_dict(entry["preprocessing"])
        logits = answer(bundle / entry["file"], pixels, spec, threads=1)
        rows.append(logits.argmax(axis=1) == test.labels)
    return np.stack(rows).astype(np.float64)


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """A row a result, in Markdown."""
    lines = [
        "| family | float32 | int8 | drop in points, 95 % | ranges by | last step |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in results.items():
        lines.append(
            f"| {name} | {percents(found['float32'])} | {percents(found['int8'])} | "
            f"{points(found['drop'])} | {', '.join(found['methods'])} | "
            f"{', '.join(found['steps'])} |"
        )
    return lines


def percents(accuracies: Sequence[float]) -> str:
    """The mean, and each seed."""
    each = ", ".join(f"{100 * value:.2f}" for value in accuracies)
    return f"{100 * np.mean(accuracies):.2f} % ({each})"


def points(difference: dict[str, float]) -> str:
    """A difference with its interval."""
    low, value, high = (100 * difference[key] for key in ("low", "value", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
