"""`compress distill`: a teacher trains a student. Read top to bottom."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.data.dataset import Dataset, Split
from compress.data.open import open_dataset
from compress.data.unlabelled import Unlabelled
from compress.distill.answers import (
    KEPT,
    answer_from_disk,
    keeps_logits,
    kept_form,
    require_room,
    wanted_logits,
)
from compress.distill.entropy import entropy_of, entropy_sentence
from compress.distill.kept.making import Wanted, drop_unfit, missing_images, planned_bytes
from compress.distill.kept.teacher import kept_view_size
from compress.distill.methods import load_method
from compress.distill.objective import distillation_objective
from compress.distill.preflight import Lessons, TimedTeacher, preflight
from compress.distill.scarce import hide_labels, labelled_part
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.faster import Runtime, choose_runtime, hasten
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.record import teacher_record
from compress.distill.transfer import open_transfer
from compress.distill.wish import Wish
from compress.errors import UsageError
from compress.models.checkpoint import verify_checkpoint
from compress.progress import SILENT, Progress
from compress.stage import Stage, open_stage, settings_of
from compress.training.objective import label_objective
from compress.training.processes import ALONE, Processes, join_processes
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
    input_digests,
    input_of,
    make_job,
    plan_views,
    train_network,
    views_size,
)
from compress.training.views import ViewPlan


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that the students of one command share.

    Attributes:
        wish: what was asked for, with threads, device and the keeping of logits decided.
        dataset: the images with labels.
        transfer: the unlabelled images that teach in place of its training split, or None.
        teacher: not yet bound to views, if it is one that answers from disk.
        views: what students see of the images that teach.
        evaluation_size: height and width at which images are read to be evaluated.
        processes: who trains together.
    """

    wish: Wish
    dataset: Dataset
    transfer: Unlabelled | None
    teacher: Teacher
    views: ViewPlan
    evaluation_size: tuple[int, int]
    processes: Processes

    @property
    def out(self) -> Path:
        """The stage's folder."""
        return self.wish.run.out or Path()

    @property
    def keeps(self) -> bool:
        """Whether the teacher's logits are kept on disk; decided by `prepare`."""
        return self.wish.teaching.keep_logits == "always"

    @property
    def kept(self) -> Path:
        """Where they are kept."""
        return self.wish.teaching.logits or self.out / KEPT

    def wanted(self) -> Wanted:
        """Which of the teacher's logits the students need."""
        wish = self.wish
        return wanted_logits(self.views, wish.teaching, wish.training, wish.keeping, self.processes)

    def runtime(self) -> Runtime:
        """What torch teachers answer by."""
        wanted = self.wanted()
        passes = len(wanted.numbers) if self.keeps else wanted.passes
        images = passes * len(self.views.split)
        return choose_runtime(self.teacher, images, self.wish.teachers.teacher_runtime)

    @property
    def replaces(self) -> bool:
        """Whether logits of other views in the run's own folder are removed: by --force."""
        return self.wish.run.force and self.wish.teaching.logits is None

    def kept_form(self) -> dict[str, Any] | None:
        """The form in which logits are kept; None where they are not."""
        if not self.keeps:
            return None
        wanted = self.wanted()
        return kept_form(self.teacher, wanted, self.kept, replaceable=self.replaces).to_dict()

    def settings(self) -> dict[str, Any]:
        """Everything that decides the result: the same settings make the same weights."""
        wish = self.wish
        parts = (wish.run, wish.network, wish.training, wish.augmenting)
        settings = {"student": wish.student, **settings_of(*parts)}
        settings |= settings_of(wish.teachers, wish.teaching, wish.keeping)
        return settings | {
            "data_fingerprint": self.dataset.fingerprint,
            "transfer_fingerprint": self.transfer.fingerprint if self.transfer else None,
            "teacher_identity": self.teacher.identity(),
            "teacher_runtime": self.runtime(),
            "kept_form": self.kept_form(),
            "processes": self.processes.count,
            **input_digests(wish.student, wish.network),
        }


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
        make_job(_taught_student(lesson, teacher, {}, 0), SILENT)
        # All that can be refused has been by now, so that --force removes nothing in vain.
        processes.outcome(lambda: _begin(lesson, stage, progress))
        teacher = _answering(lesson, teacher, progress)
        entropy = entropy_of(teacher, lesson.views, wish.teaching.temperature, progress)
        progress.say(entropy_sentence(lesson.teacher.name, entropy))
        record: dict[str, Any] = {"recipe": {"distill": settings}, "teacher_entropy": entropy}
        record |= {"notes": list(lesson.transfer.notes)} if lesson.transfer else {}
        # The first seed's student comes last: its manifest says that the whole stage is finished.
        for number in reversed(range(wish.training.runs)):
            if wish.teaching.with_baseline:
                train_network(_plain_student(lesson, record, number), progress)
            train_network(_taught_student(lesson, teacher, record, number), progress)
    return out


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
    bound = lesson.teacher.bind(lesson.views, wanted.temperature, wanted.numbers)
    teacher = TimedTeacher(bound)
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
    return preflight(make_job(trainee, progress), lesson.dataset, lessons, networks=networks)


def prepare(wish: Wish, processes: Processes, progress: Progress) -> Lesson:
    """Open images and teacher, and settle what students will see."""
    run, teaching = wish.run, wish.teaching.resolved()
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    transfer = open_transfer(teaching.transfer, dataset, run, progress)
    teacher = load_teacher(wish.teachers, dataset, run, progress)
    kept = keeps_logits(teacher, teaching, wish.training, wish.augmenting)
    teaching = replace(teaching, keep_logits="always" if kept else "never")
    student = input_of(wish.student, wish.network, dataset, run)
    train = transfer.split if transfer else hide_labels(dataset.train, teaching.labels, run.seed)
    source = transfer.fingerprint if transfer else f"{dataset.fingerprint}:train"
    size = views_size(dataset, student, *teacher.inputs)
    shown = kept_view_size(teacher) or size
    _refuse_small_views(wish, teacher, shown, size)
    return Lesson(
        wish=replace(wish, teaching=teaching),
        dataset=dataset,
        transfer=transfer,
        teacher=teacher,
        views=plan_views(train, source, shown, wish.augmenting, run),
        evaluation_size=size,
        processes=processes,
    )


def _refuse_small_views(
    wish: Wish, teacher: Teacher, shown: tuple[int, int], size: tuple[int, int]
) -> None:
    """Kept logits may be of smaller views than the student could use; that must be asked for.

    Raises:
        UsageError: names both sizes.
    """
    if wish.augmenting.view_size is None and shown[0] * shown[1] < size[0] * size[1]:
        raise UsageError(
            f"--teacher {teacher.name}: expected logits of views of {size[0]} x {size[1]} pixels, "
            f"which the student looks at, found {shown[0]} x {shown[1]}; keep them again with "
            f"compress logits --view-size {size[0]}, or teach on the smaller views with "
            f"--view-size {shown[0]}"
        )


def _asked(lesson: Lesson, progress: Progress) -> Teacher:
    """The teacher as it will be asked: bound to the views, and by what is fastest."""
    wish, wanted = lesson.wish, lesson.wanted()
    teacher = lesson.teacher.bind(lesson.views, wanted.temperature, wanted.numbers)
    if lesson.keeps and not lesson.replaces and not missing_images(wanted, lesson.kept):
        return teacher  # nothing is left to ask
    asked = wish.teachers.teacher_runtime
    return hasten(teacher, lesson.views, lesson.runtime(), asked, progress)


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
        teacher, load_method(wish.teaching.method), wish.teaching, wish.training.label_smoothing
    )

    def record() -> dict[str, Any]:
        return {
            **common,
            "teacher": teacher_record(lesson.teacher),
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
