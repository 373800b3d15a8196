"""The students of a lesson: those that the teacher teaches, and the same ones without it."""

from dataclasses import replace
from typing import Any

from compress.data.dataset import Split
from compress.distill.features import extension, keeping
from compress.distill.lesson import Lesson
from compress.distill.objective import distillation_objective
from compress.distill.requirements import remarks
from compress.distill.scarce import labelled_part
from compress.distill.teachers.protocol import Teacher, asking
from compress.distill.teachers.record import teacher_record
from compress.progress import Progress
from compress.training.job import Job
from compress.training.objective import label_objective
from compress.training.runs import (
    BASELINE,
    compare_with_baseline,
    run_folder,
    summarise_runs,
    verdict_sentence,
)
from compress.training.trainee import Trainee, train_network


def train_students(
    lesson: Lesson, teacher: Teacher, record: dict[str, Any], progress: Progress
) -> None:
    """Train the student of each seed, beside the same one without the teacher where asked for.

    Args:
        lesson: what they share.
        teacher: ready to answer.
        record: further fields of every manifest.
        progress: shows each.
    """
    # The first seed's student comes last: its manifest says that the whole stage is finished.
    for number in reversed(range(lesson.wish.training.runs)):
        if lesson.wish.teaching.with_baseline:
            train_network(plain_student(lesson, record, number), progress)
        train_network(taught_student(lesson, teacher, record, number), progress)


def taught_student(
    lesson: Lesson, teacher: Teacher, common: dict[str, Any], number: int
) -> Trainee:
    """The student of seed `number` that learns from the teacher."""
    wish, out = lesson.wish, lesson.out
    objective = distillation_objective(
        asking(teacher),
        lesson.course,
        [planned.owner for planned in lesson.features],
        epochs=wish.training.epochs,
        label_smoothing=wish.training.label_smoothing,
    )

    def record() -> dict[str, Any]:
        return {
            **common,
            "teacher": teacher_record(lesson.teacher),
            "layers": [planned.record() for planned in lesson.features],
            "baseline": BASELINE if wish.teaching.with_baseline else None,
            "comparison": _comparison(lesson) if number == 0 else None,
            **summarise_runs(out, number, wish.training.runs),
        }

    return Trainee(
        title=f"distilling {wish.student}, seed {wish.run.seed + number}",
        reference=wish.student,
        network=wish.network,
        training=wish.training,
        run=wish.run,
        dataset=lesson.dataset,
        views=lesson.views,
        evaluation_size=lesson.evaluation_size,
        objective=objective,
        seed=wish.run.seed + number,
        folder=run_folder(out, number),
        record=record,
        processes=lesson.processes,
        extend=extension(lesson.features),
        keep=keeping(lesson.features),
    )


def plain_student(lesson: Lesson, common: dict[str, Any], number: int) -> Trainee:
    """The same student without the teacher: same seed, same schedule, same number of steps."""
    wish = lesson.wish
    train, epochs = _without_teacher(lesson)
    return Trainee(
        title=f"training {wish.student} without teacher, seed {wish.run.seed + number}",
        reference=wish.student,
        network=wish.network,
        training=replace(wish.training, epochs=epochs),
        run=wish.run,
        dataset=lesson.dataset,
        views=replace(lesson.views, split=train, source="labelled"),
        evaluation_size=lesson.evaluation_size,
        objective=label_objective(wish.training.label_smoothing),
        seed=wish.run.seed + number,
        folder=run_folder(lesson.out, number) / BASELINE,
        record=lambda: common,
        processes=lesson.processes,
    )


def _without_teacher(lesson: Lesson) -> tuple[Split, int]:
    """What a student can learn from without the teacher, and for how many epochs.

    The number of steps is that of the student with the teacher: few labels are repeated within an
    epoch; in place of a transfer set all labelled images are shown, for more epochs or fewer.
    """
    train, wish = lesson.dataset.train, lesson.wish
    epochs = wish.training.epochs
    if lesson.transfer:
        return train, max(1, round(epochs * len(lesson.views.split) / len(train)))
    return labelled_part(train, wish.teaching.labels, wish.run.seed), epochs


def _comparison(lesson: Lesson) -> dict[str, Any] | None:
    """What the teacher gave, over all seeds; None where there is nothing to compare with."""
    if not lesson.wish.teaching.with_baseline:
        return None
    folders = [run_folder(lesson.out, k) for k in range(lesson.wish.training.runs)]
    comparison = compare_with_baseline(folders)
    return comparison | {"sentence": verdict_sentence(comparison)}


def sentences(lesson: Lesson, job: Job) -> list[str]:
    """What the student learns from, between which layers, and what works badly there."""
    course = lesson.course
    said = [f"learning from {course.sentence()}"]
    said += [planned.sentence() for planned in lesson.features]
    return said + remarks(course, job.plan, job.epochs)
