"""`compress logits`: a teacher's answers to the views of a training, kept. Read top to bottom."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.data.unlabelled import Unlabelled
from compress.data.wording import size_text
from compress.distill.kept.folder import (
    HEADER,
    KeptFolder,
    folder_lock,
    read_summary,
    write_summary,
)
from compress.distill.kept.form import choose_form
from compress.distill.kept.making import Wanted, ask_teacher, look_at_kept, missing_images
from compress.distill.kept.teacher import mean_entropy
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.faster import choose_runtime, hasten
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.transfer import open_transfer
from compress.errors import UsageError
from compress.progress import Progress
from compress.settings import Augmenting, Keeping, Run, Teachers
from compress.settings.expect import expect
from compress.stage import RECIPE, Stage, adopt_stage, open_stage, settings_of
from compress.training.processes import join_processes
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import plan_views, views_size
from compress.training.views import ViewPlan

# How many views there are changes none of them, so that more can be added later. Another machine
# may make a part: the fingerprints name the images, the spot check guards the numbers.
_NO_SETTINGS = ("views", "spot_check", "data", "threads", "device")
_TEMPERATURE = 1.0  # at which the mean entropy is stated; the folder serves at any that it declares


def keep(  # noqa: PLR0913 - a command's flags, as they are
    teachers: Teachers,
    augmenting: Augmenting,
    keeping: Keeping,
    run: Run,
    *,
    epochs: int,
    part: str | None,
    transfer: str | None,
    progress: Progress,
) -> Path:
    """Ask the teacher about every view that students will see, and keep its logits.

    Args:
        teachers: whose logits.
        augmenting: of which views; so many as `views` says, else one for each epoch.
        keeping: in which form.
        run: of which images, where to.
        epochs: of the training that they are for.
        part: "k/n": make the k-th of n parts, k from 1; others make theirs, into one folder. None
            for all, shared by the processes that torchrun started.
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
    mine = _part_numbers(part, force=run.force) if part is not None else None
    run = set_up_torch(run.resolved())
    with join_processes(run.device) as processes:
        dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
        progress.say_all(dataset.notes)
        images = open_transfer(transfer, dataset, run, progress)
        teacher = load_teacher(teachers, dataset, run, progress)
        _require_live(teacher)
        wanted = Wanted(
            plan=_plan(dataset, images, teacher, augmenting, run),
            numbers=tuple(range(augmenting.views_in_turn() or epochs)),
            keeping=keeping,
            temperature=_TEMPERATURE,
            passes=epochs,
            part=mine or (processes.rank, processes.count),
        )
        asked = settings_of(run, teachers, augmenting, keeping)
        asked = {name: value for name, value in asked.items() if name not in _NO_SETTINGS}
        asked |= {
            "data_fingerprint": dataset.fingerprint,
            "transfer_fingerprint": images.fingerprint if images else None,
        }

        before = processes.outcome(lambda: _look(teacher, wanted, asked, run))
        known = before["validation_accuracy"] if before else _validate(teacher, dataset, progress)
        ready = _ready(teacher, wanted, teachers, run, progress)
        processes.outcome(lambda: _begin(asked, run))  # whatever can be refused has been by now
        kept = ask_teacher(ready, wanted, out, progress)
        processes.wait()
        processes.outcome(lambda: _finish(kept, wanted, before, known, progress))
    return out


def _plan(
    dataset: Dataset, images: Unlabelled | None, teacher: Teacher, augmenting: Augmenting, run: Run
) -> ViewPlan:
    """Which views of which images."""
    source = images.fingerprint if images else f"{dataset.fingerprint}:train"
    size = views_size(dataset, *teacher.inputs)
    split = images.split if images else dataset.train
    return plan_views(split, source, size, augmenting, run)


def _look(
    teacher: Teacher, wanted: Wanted, asked: Mapping[str, Any], run: Run
) -> dict[str, Any] | None:
    """Refuse a folder that cannot serve, and give the summary of one that is whole.

    Raises:
        ArtifactError: it holds other logits or other files.
        UsageError: more logits are to be kept than there are classes.
    """
    out = run.require_out()
    _open(asked, run)
    if run.force:
        choose_form(len(teacher.classes), wanted.keeping, wanted.temperature)
        return None
    look_at_kept(teacher, wanted, out)
    return read_summary(out)


def _open(asked: Mapping[str, Any], run: Run) -> Stage:
    """The folder as a stage; what compress distill kept has no recipe, but says what it is."""
    out = run.require_out()
    kept_by_distill = (out / HEADER).is_file() and not (out / RECIPE).exists()
    opening = adopt_stage if kept_by_distill else open_stage
    return opening(out, "logits", asked, result=HEADER, force=run.force)


def _begin(asked: Mapping[str, Any], run: Run) -> None:
    with folder_lock(run.require_out()):  # parts may begin at the same time
        _open(asked, run).begin()


def _ready(
    teacher: Teacher, wanted: Wanted, teachers: Teachers, run: Run, progress: Progress
) -> Teacher:
    """The teacher as it answers: by onnxruntime where there is enough to ask.

    How much is left does not choose: what was stopped goes on with the same numbers.
    """
    bound = teacher.bind(wanted.plan, wanted.temperature, wanted.numbers)
    if not run.force and not missing_images(wanted, run.require_out()):
        return bound
    images = len(wanted.numbers) * len(wanted.plan.split)
    runtime = choose_runtime(bound, images, teachers.teacher_runtime)
    return hasten(bound, wanted.plan, runtime, teachers.teacher_runtime, progress)


def _finish(
    kept: KeptFolder,
    wanted: Wanted,
    before: Mapping[str, Any] | None,
    validation: float | None,
    progress: Progress,
) -> None:
    """Write the summary, or say what is left to other parts."""
    if lacking := kept.missing(wanted.numbers):
        number, parts = wanted.part
        progress.say(
            f"{kept.path}: part {number + 1}/{parts} is done; {sum(lacking.values())} blocks of "
            f"{len(lacking)} views are left to the other parts"
        )
        return
    views = max(len(wanted.numbers), before["views"] if before else 0)
    write_summary(kept.path, _summarise(kept, views, validation))


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
