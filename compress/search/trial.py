"""Trains one candidate up to an epoch of its schedule, from where it was left."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace

from compress.artifacts import MANIFEST, read_json
from compress.distill.lesson import prepare
from compress.distill.lesson_teacher import answering_teacher, asked_teacher, begin_lessons
from compress.distill.students import taught_student
from compress.distill.teachers.tapped import TappedTeacher
from compress.distill.wish import Wish
from compress.errors import ModelError, TrainingError, UsageError
from compress.progress import SILENT
from compress.search.record import Record, Standing
from compress.training.loop import fit
from compress.training.processes import ALONE
from compress.training.shared_stage import open_shared_stage
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import make_job


def train_until(
    record: Record, name: str, wish: Wish, epochs: int, after: Callable[[], None]
) -> None:
    """Train a candidate until `epochs` are done, and keep what it comes to in the record.

    The folder is begun as `distill` begins it, so that distill goes on from the state that is left
    there, and no epoch is trained twice.

    Args:
        record: its standings so far.
        name: of the candidate.
        wish: what makes it; its `run.out` is the candidate's own folder.
        epochs: of the full schedule, at which it pauses.
        after: called after each new epoch; the training itself is silent.
    """
    standing = record.of(name)
    if standing.failure or len(standing.accuracies) >= epochs:
        return
    began = time.perf_counter()

    def keep_going(accuracies: Sequence[float]) -> bool:
        told = tuple(float(accuracy) for accuracy in accuracies)
        seconds = standing.seconds + time.perf_counter() - began
        record.put(name, Standing(accuracies=told, seconds=seconds))
        after()
        return len(told) < epochs

    try:
        _train(wish, keep_going)
    except (TrainingError, ModelError, UsageError) as error:  # its own fault: the search goes on
        record.put(name, replace(record.of(name), failure=str(error)))


def _train(wish: Wish, keep_going: Callable[[Sequence[float]], bool]) -> None:
    """The training of `distill` without its end, which a candidate that is dropped never sees."""
    wish = replace(wish, run=set_up_torch(wish.run.resolved()))
    lesson = prepare(wish, ALONE, SILENT)
    settings = lesson.settings()
    stage = open_shared_stage(wish.run, "distill", settings, result=MANIFEST, processes=ALONE)
    if stage.finished:  # and the record is lost
        history = read_json(wish.run.require_out() / MANIFEST, kind="checkpoint")["history"]
        keep_going([row["validation_accuracy"] for row in history])
        return
    asked = asked_teacher(lesson, SILENT)
    begin_lessons([lesson], stage, SILENT)
    teacher = answering_teacher(lesson, asked, SILENT)
    with closing(teacher) if isinstance(teacher, TappedTeacher) else nullcontext():
        job = make_job(taught_student(lesson, teacher, {}, 0), SILENT)
        fit(replace(job, keep_going=keep_going), SILENT)
