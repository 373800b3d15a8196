"""`compress distill`: a teacher trains a student. Read top to bottom."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.data.dataset import Split
from compress.distill.answers import (
    answer_from_disk,
    require_room,
)
from compress.distill.entropy import entropy_of, entropy_sentence
from compress.distill.features import extension, keeping, tapped
from compress.distill.kept.making import drop_unfit, missing_images, planned_bytes
from compress.distill.lesson import Lesson, prepare
from compress.distill.objective import distillation_objective
from compress.distill.preflight import Lessons, TimedTeacher, preflight
from compress.distill.requirements import remarks
from compress.distill.scarce import labelled_part
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.faster import hasten
from compress.distill.teachers.protocol import Teacher, asking
from compress.distill.teachers.record import teacher_record
from compress.distill.wish import Wish
from compress.models.checkpoint import verify_checkpoint
from compress.progress import SILENT, Progress
from compress.stage import Stage, open_stage
from compress.training.job import Job
from compress.training.objective import label_objective
from compress.training.processes import ALONE, join_processes
from compress.training.runs import (
    BASELINE,
    compare_with_baseline,
    run_folder,
    summarise_runs,
    verdict_sentence,
)
from compress.training.shared_stage import open_shared_stage
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import (
    Trainee,
    make_job,
    train_network,
)


def distill(wish: Wish, progress: Progress) -> Path:
    """Train the student from the teacher and write a checkpoint folder.

    Returns:
        The folder; with --runs N the first seed's, which holds the others as seed-1, seed-2, ...;
        with --with-baseline each holds the same student without the teacher as `baseline`.
    """
    out = wish.run.require_out()
    wish.check()
    run = set_up_torch(wish.run.resolved())
    with join_processes(run.device) as processes:
        lesson = prepare(replace(wish, run=run), processes, progress)
        settings = lesson.settings()
        stage = open_shared_stage(run, "distill", settings, result=MANIFEST, processes=processes)
        if stage.finished:
            verify_checkpoint(out)
            progress.say(f"{out}: finished already")
            return out

        taught = check_teacher(lesson.teacher, lesson.dataset, progress)
        if taught is not None:
            progress.say(f"teacher {lesson.teacher.name}: {100 * taught:.1f} % right on validation")
        teacher = _asked(lesson, progress)
        job = make_job(_taught_student(lesson, teacher, {}, 0), SILENT)
        # All that can be refused has been by now, so that --force removes nothing in vain.
        processes.outcome(lambda: _begin(lesson, stage, progress))
        teacher = _answering(lesson, teacher, progress)
        progress.say_all(_sentences(lesson, job))
        entropy = entropy_of(teacher, lesson.views, lesson.course.temperature(), progress)
        progress.say(entropy_sentence(lesson.teacher.name, entropy))
        record: dict[str, Any] = {"recipe": {"distill": settings}, "teacher_entropy": entropy}
        record |= {"notes": list(lesson.transfer.notes)} if lesson.transfer else {}
        # The first seed's student comes last: its manifest says that the whole stage is finished.
        for number in reversed(range(wish.training.runs)):
            if wish.teaching.with_baseline:
                train_network(_plain_student(lesson, record, number), progress)
            train_network(_taught_student(lesson, teacher, record, number), progress)
    return out


def _sentences(lesson: Lesson, job: Job) -> list[str]:
    """What the student learns from, between which layers, and what works badly there."""
    course = lesson.course
    said = [f"learning from {course.sentence()}"]
    said += [planned.sentence() for planned in lesson.features]
    return said + remarks(course, job.plan, job.epochs)


def _begin(lesson: Lesson, stage: Stage, progress: Progress) -> None:
    """Make place in the folder: with --force for a new run, and for logits that do not serve."""
    if lesson.keeps and lesson.replaces and lesson.kept.is_dir():
        drop_unfit(lesson.teacher, lesson.wanted(), lesson.kept, progress)
    stage.begin()


def foresee_distillation(wish: Wish, progress: Progress) -> dict[str, Any]:
    """What `distill` would do, from its first steps on a copy; nothing is written."""
    wish.check()
    wish = replace(wish, run=set_up_torch(wish.run.resolved()))
    lesson = prepare(wish, ALONE, progress)
    check_teacher(lesson.teacher, lesson.dataset, progress)
    wanted = lesson.wanted()
    settings = lesson.settings()
    if wish.run.out:
        open_stage(wish.run.out, "distill", settings, result=MANIFEST, force=wish.run.force)
    if lesson.keeps:
        require_room(lesson.teacher, wanted, lesson.kept)
    teacher = TimedTeacher(_bound(lesson))
    trainee = _taught_student(lesson, teacher, {}, 0)
    images = len(lesson.views.split)
    lacking = missing_images(wanted, lesson.kept) // images if lesson.keeps else wanted.passes
    lessons = Lessons(
        teacher=teacher,
        temperature=wanted.temperature,
        passes=lacking if teacher.inputs else 0,
        kept_bytes=planned_bytes(len(teacher.classes), wanted) if lesson.keeps else None,
    )
    networks = wish.training.runs * (2 if wish.teaching.with_baseline else 1)
    job = make_job(trainee, progress)
    found = preflight(job, lesson.dataset, lessons, networks=networks)
    found["warnings"] += remarks(lesson.course, job.plan, job.epochs)
    return found | {
        "course": lesson.course.settings() | {"sentence": lesson.course.sentence()},
        "layers": [planned.record() for planned in lesson.features],
    }


def _asked(lesson: Lesson, progress: Progress) -> Teacher:
    """The teacher as it will be asked: bound to the views, and by what is fastest."""
    teacher, wanted = _bound(lesson), lesson.wanted()
    if lesson.features:
        return teacher
    if lesson.keeps and not lesson.replaces and not missing_images(wanted, lesson.kept):
        return teacher  # nothing is left to ask
    asked = lesson.wish.teachers.teacher_runtime
    return hasten(teacher, lesson.views, lesson.runtime(), asked, progress)


def _bound(lesson: Lesson) -> Teacher:
    """The teacher, ready for the views, with taps where losses look into it."""
    wanted = lesson.wanted()
    teacher = lesson.teacher.bind(lesson.views, wanted.temperature, wanted.numbers)
    return tapped(teacher, lesson.features) if lesson.features else teacher


def _answering(lesson: Lesson, teacher: Teacher, progress: Progress) -> Teacher:
    """The teacher as it answers in every step: from disk, where its logits are kept."""
    if not lesson.keeps:
        return teacher
    return answer_from_disk(teacher, lesson.wanted(), lesson.kept, lesson.processes, progress)


def _taught_student(
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


def _plain_student(lesson: Lesson, common: dict[str, Any], number: int) -> Trainee:
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
