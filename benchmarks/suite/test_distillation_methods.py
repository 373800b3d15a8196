"""All distillation methods on one real pair, beside the plain student: README's table.

`pytest -s benchmarks/suite/test_distillation_methods.py --epochs 10 --out methods/`: resnet8 taught
by resnet20 on the embedded images (9,000 to train, 1,000 to choose, 2,000 to report), each method
with its own defaults, three seeds, from one folder of kept logits (methods that look inside the
teacher ask it live, about the same views). Given again with the same --out it goes on.
"""

import json
from pathlib import Path

import numpy as np

from compress.artifacts import MANIFEST
from compress.distill.methods import load_method
from compress.distill.recipe import distill
from compress.distill.wish import Wish
from compress.intervals import paired_difference
from compress.progress import Progress
from compress.settings import (
    Augmenting,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
)
from compress.settings.method_names import list_methods
from compress.training.outcome import PREDICTIONS
from compress.training.recipe import Wish as PlainWish
from compress.training.recipe import train
from compress.training.runs import BASELINE, run_folder

SEEDS = 3
VIEWS = 4  # of each image, in turn; the teacher is asked once for each
AUGMENTING = Augmenting(augment="crop+flip", views=VIEWS)
ALONE = "(student alone)"


def test_methods_beside_the_plain_student(request, tmp_path, capsys):
    epochs = request.config.getoption("--epochs")
    out = request.config.getoption("--out") or tmp_path
    with capsys.disabled():
        progress = Progress()
        teacher = train(
            PlainWish(
                model="resnet20",
                network=Network(),
                training=Training(epochs=12, lr=0.1),
                augmenting=Augmenting(augment="crop+flip"),
                run=Run(data="demo", out=out / "teacher"),
            ),
            progress,
        )
        # The first one also trains the student alone, with the same seeds, views and steps.
        first, *others = sorted(list_methods(), key=lambda name: name != "kd")
        folders = {first: student(first, teacher, epochs, out, progress, with_baseline=True)}
        folders |= {m: student(m, teacher, epochs, out, progress) for m in others}
        print("\n" + "\n".join(table(teacher, folders, first)))


def student(
    method: str,
    teacher: Path,
    epochs: int,
    out: Path,
    progress: Progress,
    with_baseline: bool = False,
) -> Path:
    """Three students of one method, in one folder."""
    live = "features" in load_method(method).needs
    teaching = Teaching(
        method=(method,),
        logits=None if live else out / "logits",
        with_baseline=with_baseline,
    )
    return distill(
        Wish(
            student="resnet8",
            teachers=Teachers(teacher=(str(teacher),)),
            teaching=teaching,
            keeping=Keeping(),
            network=Network(),
            training=Training(epochs=epochs, runs=SEEDS),
            augmenting=AUGMENTING,
            run=Run(data="demo", out=out / method),
        ),
        progress,
    )


def table(teacher: Path, folders: dict[str, Path], first: str) -> list[str]:
    """A row a method, best first by validation, in Markdown."""
    alone = [run_folder(folders[first], k) / BASELINE for k in range(SEEDS)]
    runs = {name: [run_folder(out, k) for k in range(SEEDS)] for name, out in folders.items()}
    runs[ALONE] = alone
    chosen = {name: right(places, "validation").mean() for name, places in runs.items()}
    known = json.loads((teacher / MANIFEST).read_text())["metrics"]
    lines = [
        f"resnet8 from resnet20 (teacher {100 * known['test']['accuracy']:.2f} % on test), "
        f"{SEEDS} seeds, {images(alone[0])} test images; difference paired by image and seed, 95 %",
        "",
        "| method | validation | test | against the student alone, test |",
        "|---|---|---|---|",
    ]
    for name in sorted(runs, key=lambda name: -chosen[name]):
        test = right(runs[name], "test")
        found = paired_difference(test, right(alone, "test"))
        low, value, high = (100 * x for x in (found.low, found.value, found.high))
        clear = "**" if low > 0 or high < 0 else ""
        gain = "" if name == ALONE else f"{clear}{value:+.2f} ({low:+.2f} to {high:+.2f}){clear}"
        lines.append(
            f"| {name} | {100 * chosen[name]:.2f} % | {100 * test.mean():.2f} % | {gain} |"
        )
    return lines


def right(folders: list[Path], split: str) -> np.ndarray:
    """1 where a seed's student named an image rightly: [seeds, images]."""
    rows = []
    for folder in folders:
        with np.load(folder / PREDICTIONS) as kept:
            rows.append(kept[f"{split}_predictions"] == kept[f"{split}_labels"])
    return np.stack(rows).astype(np.float64)


def images(folder: Path) -> str:
    with np.load(folder / PREDICTIONS) as kept:
        return f"{len(kept['test_labels']):,}"
