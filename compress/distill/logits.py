"""`compress logits`: a teacher's answers to the views of a training, kept. Read top to bottom."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.data.wording import size_text
from compress.distill.kept.folder import (
    HEADER,
    KeptFolder,
    folder_lock,
    read_summary,
    write_summary,
)
from compress.distill.kept.making import Wanted, ask_teacher
from compress.distill.kept.teacher import mean_entropy
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.faster import hasten
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.transfer import open_transfer
from compress.errors import UsageError
from compress.progress import Progress
from compress.settings import Augmenting, Keeping, Run, Teachers
from compress.settings.expect import expect
from compress.stage import open_stage, settings_of
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import plan_views, views_size

# How many views there are changes none of them, so that more can be added later.
_NO_SETTINGS = ("views", "spot_check")


def keep(  # noqa: PLR0913 - a command's flags, as they are
    teachers: Teachers,
    augmenting: Augmenting,
    keeping: Keeping,
    run: Run,
    *,
    epochs: int,
    part: str,
    transfer: str | None,
    progress: Progress,
) -> Path:
    """Ask the teacher about every view that `epochs` epochs show, and keep its logits.

    Args:
        teachers: whose logits.
        augmenting: of which views.
        keeping: in which form.
        run: of which images, where to.
        epochs: of the training that they are for.
        part: "k/n": make the k-th of n parts, k from 1; others make theirs, into one folder.
        transfer: unlabelled images in place of the training split.
        progress: told the cost before it is spent.

    Returns:
        The folder. Its logits.json has a summary when all views are there; with a part, others may
        still be at work on theirs.
    """
    out = run.require_out()
    for settings in (teachers, augmenting, keeping, run):
        settings.check()
    expect("epochs", epochs, epochs >= 1, "1 or more")
    numbers = tuple(range(augmenting.view_count(epochs)))
    mine = _part_numbers(part, force=run.force)
    run = set_up_torch(run.resolved())
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    images = open_transfer(transfer, dataset, run, progress)
    teacher = load_teacher(teachers, dataset, run, progress)
    _require_live(teacher)
    asked = settings_of(run, teachers, augmenting, keeping)
    asked = {name: value for name, value in asked.items() if name not in _NO_SETTINGS}
    asked |= {"transfer": transfer, "data_fingerprint": dataset.fingerprint}
    with folder_lock(out):  # parts may begin at the same time
        open_stage(out, "logits", asked, result=HEADER, force=run.force)

    before = read_summary(out)
    known = before["validation_accuracy"] if before else _validate(teacher, dataset, progress)
    source = images.fingerprint if images else f"{dataset.fingerprint}:train"
    size = views_size(dataset, *teacher.inputs)
    train = images.split if images else dataset.train
    wanted = Wanted(
        plan=plan_views(train, source, size, augmenting, run),
        numbers=numbers,
        keeping=keeping,
        temperature=1.0,
        passes=epochs,
        part=mine,
    )
    teacher = teacher.bind(wanted.plan, wanted.temperature, wanted.numbers)
    asked_images = len(numbers) * len(train)
    teacher = hasten(teacher, wanted.plan, asked_images, teachers.teacher_runtime, progress)
    kept = ask_teacher(teacher, wanted, out, progress)
    if lacking := kept.missing(numbers):
        progress.say(
            f"{out}: part {part} is done; {sum(lacking.values())} blocks of {len(lacking)} views "
            "are left to the other parts"
        )
        return out
    views = max(len(numbers), before["views"] if before else 0)
    summary = _summarise(kept, views, known)
    write_summary(out, summary)
    return out


def _part_numbers(part: str, *, force: bool) -> tuple[int, int]:
    """The part's number from 0, and how many there are."""
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", part)
    fits = found is not None and int(found[1]) <= int(found[2])
    expect("part", part, fits, "K/N, the K-th of N parts, K from 1 to N")
    assert found is not None
    if force and int(found[2]) > 1:
        raise UsageError(
            f"--force with --part {part}: would remove what the other parts made; give --force "
            "without a part, or remove the folder"
        )
    return int(found[1]) - 1, int(found[2])


def _require_live(teacher: Teacher) -> None:
    if not teacher.inputs:
        raise UsageError(
            f"--teacher {teacher.name}: expected a network, whose answers can be kept, found "
            "answers that are kept already; give them to compress distill as they are"
        )


def _validate(teacher: Teacher, dataset: Dataset, progress: Progress) -> float | None:
    """The teacher's accuracy on validation, before any of its answers is kept."""
    found = check_teacher(teacher, dataset, progress)
    if found is not None:
        progress.say(f"teacher {teacher.name}: {100 * found:.1f} % right on validation")
    return found


def _summarise(kept: KeptFolder, views: int, validation: float | None) -> dict[str, Any]:
    return {
        "teacher": kept.teacher_name,
        "views": views,
        "images": int(kept.views["count"]),
        "classes": len(kept.classes),
        "form": kept.form.to_dict(),
        "size_bytes": kept.size_bytes(views),
        "validation_accuracy": validation,
        "mean_entropy_nats": mean_entropy(kept, 0),
    }


def summary_sentence(out: Path, summary: Mapping[str, Any]) -> str:
    """What was kept where, for people."""
    found = summary["validation_accuracy"]
    right = "" if found is None else f"{100 * found:.1f} % right on validation, "
    return (
        f"{out}: the logits of {summary['teacher']} for {summary['views']} views of "
        f"{summary['images']:,} images, {size_text(summary['size_bytes'])}; {right}"
        f"mean entropy {summary['mean_entropy_nats']:.2f} of at most "
        f"{math.log(summary['classes']):.2f} nats"
    )
