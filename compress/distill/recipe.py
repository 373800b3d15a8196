"""`compress distill`: a teacher trains a student. Read top to bottom."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.distill.entropy import entropy_of, entropy_sentence
from compress.distill.foresight import foresee_lesson
from compress.distill.lesson import prepare
from compress.distill.lesson_teacher import (
    answering_teacher,
    asked_teacher,
    begin_lessons,
)
from compress.distill.students import sentences, taught_student, train_students
from compress.distill.teachers.check import check_teacher
from compress.distill.wish import Wish
from compress.extras import needs
from compress.models.checkpoint import verify_checkpoint
from compress.progress import SILENT, Progress
from compress.training.processes import ALONE, join_processes
from compress.training.shared_stage import open_shared_stage
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import make_job


def distill(wish: Wish, progress: Progress) -> Path:
    """Train the student from the teacher and write a checkpoint folder; with --tune the best one.

    Returns:
        The folder; with --runs N the first seed's, which holds the others as seed-1, seed-2, ...;
        with --with-baseline each holds the same student without the teacher as `baseline`.
    """
    out = wish.run.require_out()
    wish.check()
    wish = replace(wish, run=set_up_torch(wish.run.resolved()))
    run = wish.run
    with join_processes(run.device) as processes:
        if wish.tuning.names():
            with needs("tune"):
                from compress.distill.tuning.recipe import search_and_distill
            return search_and_distill(wish, processes, progress)
        lesson = prepare(wish, processes, progress)
        settings = lesson.settings()
        stage = open_shared_stage(run, "distill", settings, result=MANIFEST, processes=processes)
        if stage.finished:
            verify_checkpoint(out)
            progress.say(f"{out}: finished already")
            return out

        taught = check_teacher(lesson.teacher, lesson.dataset, progress)
        if taught is not None:
            progress.say(f"teacher {lesson.teacher.name}: {100 * taught:.1f} % right on validation")
        teacher = asked_teacher(lesson, progress)
        job = make_job(taught_student(lesson, teacher, {}, 0), SILENT)
        # All that can be refused has been by now, so that --force removes nothing in vain.
        processes.outcome(lambda: begin_lessons([lesson], stage, progress))
        teacher = answering_teacher(lesson, teacher, progress)
        progress.say_all(sentences(lesson, job))
        entropy = entropy_of(teacher, lesson.views, lesson.course.temperature(), progress)
        progress.say(entropy_sentence(lesson.teacher.name, entropy))
        record: dict[str, Any] = {"recipe": {"distill": settings}, "teacher_entropy": entropy}
        record |= {"notes": list(lesson.transfer.notes)} if lesson.transfer else {}
        train_students(lesson, teacher, record, progress)
    return out


def foresee_distillation(wish: Wish, progress: Progress) -> dict[str, Any]:
    """What `distill` would do, from its first steps on a copy; nothing is written."""
    wish.check()
    wish = replace(wish, run=set_up_torch(wish.run.resolved()))
    if wish.tuning.names():
        with needs("tune"):
            from compress.distill.tuning.recipe import foresee_search
        return foresee_search(wish, progress)
    lesson = prepare(wish, ALONE, progress)
    return foresee_lesson(lesson, lesson.settings(), progress)
