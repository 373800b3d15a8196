"""`compress distill --tune`: the search on validation, then the winner. Read top to bottom."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import MANIFEST
from compress.distill.entropy import entropy_of, entropy_sentence
from compress.distill.foresight import foresee_lesson
from compress.distill.lesson import Lesson
from compress.distill.lesson_teacher import (
    answering_teacher,
    asked_teacher,
    begin_lessons,
    bound_teacher,
)
from compress.distill.students import sentences, taught_student, train_students
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.tapped import TappedTeacher
from compress.distill.tuning.candidates import Candidates, find_candidates
from compress.distill.tuning.courses import course_of
from compress.distill.tuning.files import write_tuning
from compress.distill.tuning.outcome import Outcome
from compress.distill.tuning.record import open_record
from compress.distill.tuning.search import search
from compress.distill.tuning.trial import KeepGoing, Task, Trained, TrialRunner
from compress.distill.tuning.verdict import conclude
from compress.distill.wish import Wish
from compress.models.checkpoint import verify_checkpoint
from compress.progress import SILENT, Progress
from compress.training.evaluate import split_logits
from compress.training.guard import labelled
from compress.training.job import Job
from compress.training.loop import fit
from compress.training.processes import ALONE, Processes
from compress.training.shared_stage import open_shared_stage
from compress.training.state import STATE
from compress.training.trainee import make_job

TUNING_FOLDER = "tuning"


def search_and_distill(wish: Wish, processes: Processes, progress: Progress) -> Path:
    """Search for the best settings on validation, and write the winner as `distill` does.

    Test is looked at once: by the winner, when the search is over.

    Returns:
        The stage's folder.
    """
    run, out = wish.run, wish.run.require_out()
    candidates = find_candidates(wish, processes, progress)
    settings = candidates.settings()
    stage = open_shared_stage(run, "distill", settings, result=MANIFEST, processes=processes)
    if stage.finished:
        verify_checkpoint(out)
        progress.say(f"{out}: finished already")
        return out

    own_accuracies = _check_teachers(candidates, progress)
    asked = {name: asked_teacher(one, progress) for name, one in candidates.lessons.items()}
    for lesson in candidates.all_lessons():
        make_job(taught_student(lesson, lesson.teacher, {}, 0), SILENT)
    # All that can be refused has been by now, so that --force removes nothing in vain.
    lessons = list(candidates.lessons.values())
    processes.outcome(lambda: begin_lessons(lessons, stage, progress))
    teachers = {
        name: answering_teacher(lesson, asked[name], progress)
        for name, lesson in candidates.lessons.items()
    }
    record = open_record(out / TUNING_FOLDER, candidates.plan, writes=processes.first)
    processes.wait()
    search(record, trial_runner(candidates, teachers), progress)

    def finish() -> Outcome:
        outcome = conclude(record, own_accuracies)
        write_tuning(outcome, out, progress)
        _take_over(record.state_folder(outcome.winner), out)
        return outcome

    outcome = processes.outcome(finish)
    _distill_winner(candidates, teachers, outcome, progress)
    return out


def _check_teachers(candidates: Candidates, progress: Progress) -> dict[str, float]:
    """Accuracy of each on validation, a fraction; of those that can be asked."""
    found = {}
    for name, lesson in candidates.lessons.items():
        accuracy = check_teacher(lesson.teacher, lesson.dataset, progress)
        if accuracy is not None:
            found[name] = accuracy
            progress.say(f"teacher {name}: {100 * accuracy:.1f} % right on validation")
    return found


def trial_runner(candidates: Candidates, teachers: Mapping[str, Teacher]) -> TrialRunner:
    """What trains the student of a trial; see `TrialRunner`."""

    def run_trial(task: Task, keep_going: KeepGoing) -> Trained | None:
        name, course = task.trial.teacher, course_of(candidates.courses, task.trial.settings)
        lesson = candidates.lesson(name, course)
        with _teacher_of(lesson, teachers[name]) as teacher:
            trainee = replace(taught_student(lesson, teacher, {}, 0), folder=task.folder)
            job = replace(make_job(trainee, SILENT), keep_going=keep_going)
            history = fit(job, SILENT)
        if len(history) < job.epochs:
            return None
        accuracies = [row["validation_accuracy"] for row in history]
        return Trained(accuracies=accuracies, right=_right(job))

    return run_trial


@contextmanager
def _teacher_of(lesson: Lesson, answering: Teacher) -> Iterator[Teacher]:
    """The teacher of a lesson: where losses look into it the live one, tapped for the time."""
    if not lesson.features:
        yield answering
        return
    teacher = bound_teacher(lesson)
    try:
        yield teacher
    finally:
        if isinstance(teacher, TappedTeacher):
            teacher.close()


def _right(job: Job) -> NDArray[np.bool_]:
    """Which labelled validation images the trained network names rightly: bool [N]."""
    labels = job.validation.labels
    logits = split_logits(
        job.module,
        job.preprocessing,
        job.validation,
        job.evaluation_size,
        processes=job.processes,
    )
    known = np.isin(labels, labelled(labels))
    return np.asarray(logits.argmax(axis=1) == labels)[known]


def _take_over(trial: Path, out: Path) -> None:
    """Move the winner's training to where the student's belongs, which then need not be repeated.

    Its state goes first: a kill on the way costs time, and changes nothing.
    """
    for path in sorted(trial.glob("*"), key=lambda path: (path.name != STATE, path.name)):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _distill_winner(
    candidates: Candidates, teachers: Mapping[str, Teacher], outcome: Outcome, progress: Progress
) -> None:
    """Train, or take over, the student that won; evaluate it on test; write it."""
    winner, settings = outcome.winner, candidates.settings()
    course = course_of(candidates.courses, winner.settings)
    lesson = candidates.lesson(winner.teacher, course)
    with _teacher_of(lesson, teachers[winner.teacher]) as teacher:
        job = make_job(taught_student(lesson, teacher, {}, 0), SILENT)
        progress.say_all(sentences(lesson, job))
        entropy = entropy_of(teacher, lesson.views, course.temperature(), progress)
        progress.say(entropy_sentence(lesson.teacher.name, entropy))
        searched = {key: settings[key] for key in ("tune", "tune_epochs", "keep_logits")}
        record: dict[str, Any] = {
            "recipe": {"distill": lesson.settings() | searched},
            "teacher_entropy": entropy,
            "tuning": {
                "candidates": list(candidates.plan.teachers),
                "trials": len(outcome.trials),
                "epochs": outcome.epochs(),
                "sentences": list(outcome.sentences),
            },
        }
        record |= {"notes": list(lesson.transfer.notes)} if lesson.transfer else {}
        train_students(lesson, teacher, record, progress)


def foresee_search(wish: Wish, progress: Progress) -> dict[str, Any]:
    """What the search would cost, from the first steps of its first student; nothing is written."""
    candidates = find_candidates(wish, ALONE, progress)
    first = candidates.lessons[candidates.plan.teachers[0]]
    found = foresee_lesson(first, candidates.settings(), progress)
    plan, time = candidates.plan, found["time"]
    seconds = time["students_seconds"] / time["networks"] * plan.budget / plan.epochs
    time |= {"search_seconds": seconds, "total_seconds": time["total_seconds"] + seconds}
    return found | {
        "tuning": {
            "tune": list(plan.space.tuned),
            "teachers": list(plan.teachers),
            "methods": list(plan.space.methods()),
            "epochs": plan.budget,
            "rungs": list(plan.rungs()),
        }
    }
