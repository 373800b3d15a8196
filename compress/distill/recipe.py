"""`compress distill`: a teacher trains a student. Read top to bottom."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.distill.answers import Answers
from compress.distill.methods import load_method
from compress.distill.objective import distillation_objective
from compress.distill.scarce import hide_labels, labelled_part
from compress.distill.teacher import Teacher, check_teacher, load_teacher, teacher_record
from compress.models.checkpoint import LoadedModel, verify_checkpoint
from compress.progress import Progress
from compress.settings import Network, Run, Teaching, Training
from compress.stage import open_stage, settings_of
from compress.training.objective import label_objective
from compress.training.runs import (
    BASELINE,
    compare_with_baseline,
    run_folder,
    summarise_runs,
    verdict_sentence,
)
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import Trainee, input_digests, train_network


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that the students of one command share."""

    student: str
    teaching: Teaching
    network: Network
    training: Training
    run: Run
    out: Path
    dataset: Dataset
    teacher: LoadedModel
    answers: Answers
    settings: dict[str, Any]


def distill(
    student: str,
    *,
    teaching: Teaching,
    network: Network,
    training: Training,
    run: Run,
    progress: Progress,
) -> Path:
    """Train `student` from the teacher and write a checkpoint folder.

    Returns:
        The folder; with --runs N the first seed's, which holds the others as seed-1, seed-2, ...;
        with --with-baseline each holds the same student without the teacher as `baseline`.
    """
    out = run.require_out()
    for part in (teaching, network, training, run):
        part.check()
    load_method(teaching.method)  # a wrong name is refused before anything is read
    run = set_up_torch(run.resolved())
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    teacher = load_teacher(teaching, dataset, run, progress)
    settings = {"student": student, **settings_of(run, network, training, teaching)}
    settings |= {"data_fingerprint": dataset.fingerprint, "teacher_sha256": teacher.sha256}
    settings |= input_digests(student, network)
    stage = open_stage(out, "distill", settings, result=MANIFEST, force=run.force)
    if stage.finished:
        verify_checkpoint(out)
        progress.say(f"{out}: finished already")
        return out

    taught = check_teacher(teacher, dataset, progress)
    progress.say(f"teacher {teacher.name}: {100 * taught:.1f} % right on validation")
    lesson = Lesson(
        student=student,
        teaching=teaching,
        network=network,
        training=training,
        run=run,
        out=out,
        dataset=dataset,
        teacher=teacher,
        answers=Answers(Teacher(teacher, run.device), progress),
        settings=settings,
    )
    # The first seed's student comes last: its manifest says that the whole stage is finished.
    for number in reversed(range(training.runs)):
        if teaching.with_baseline:
            train_network(_plain_student(lesson, number), progress)
        train_network(_taught_student(lesson, number), progress)
    return out


def _taught_student(lesson: Lesson, number: int) -> Trainee:
    """The student of seed `number` that learns from the teacher."""
    teaching, dataset, out = lesson.teaching, lesson.dataset, lesson.out
    train = hide_labels(dataset.train, teaching.labels, lesson.run.seed)
    objective = distillation_objective(
        lesson.answers,
        load_method(teaching.method),
        teaching,
        lesson.training.label_smoothing,
    )

    def record() -> dict[str, Any]:
        return {
            "recipe": {"distill": lesson.settings},
            "teacher": teacher_record(lesson.teacher, teaching),
            "baseline": BASELINE if teaching.with_baseline else None,
            "comparison": _comparison(lesson) if number == 0 else None,
            **summarise_runs(out, number, lesson.training.runs),
        }

    return Trainee(
        title=f"distilling {lesson.student}, seed {lesson.run.seed + number}",
        reference=lesson.student,
        network=lesson.network,
        training=lesson.training,
        run=lesson.run,
        dataset=dataset,
        train=train,
        epochs=lesson.training.epochs,
        beside=(lesson.teacher.preprocessing,),
        objective=objective,
        seed=lesson.run.seed + number,
        folder=run_folder(out, number),
        record=record,
    )


def _plain_student(lesson: Lesson, number: int) -> Trainee:
    """The same student without the teacher: same seed, same schedule, same number of steps."""
    train = labelled_part(lesson.dataset.train, lesson.teaching.labels, lesson.run.seed)
    return Trainee(
        title=f"training {lesson.student} without teacher, seed {lesson.run.seed + number}",
        reference=lesson.student,
        network=lesson.network,
        training=lesson.training,
        run=lesson.run,
        dataset=lesson.dataset,
        train=train,
        epochs=lesson.training.epochs,
        beside=(lesson.teacher.preprocessing,),
        objective=label_objective(lesson.training.label_smoothing),
        seed=lesson.run.seed + number,
        folder=run_folder(lesson.out, number) / BASELINE,
        record=lambda: {"recipe": {"distill": lesson.settings}},
    )


def _comparison(lesson: Lesson) -> dict[str, Any] | None:
    """What the teacher gave, over all seeds; None where there is nothing to compare with."""
    if not lesson.teaching.with_baseline:
        return None
    folders = [run_folder(lesson.out, k) for k in range(lesson.training.runs)]
    comparison = compare_with_baseline(folders)
    return comparison | {"sentence": verdict_sentence(comparison)}
