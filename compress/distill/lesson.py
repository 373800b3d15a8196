"""A lesson: images, teacher and views that the students of one command share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.data.unlabelled import Unlabelled
from compress.distill.answers import KEPT, keeps_logits, kept_form, wanted_logits
from compress.distill.course import Course
from compress.distill.features import find_features
from compress.distill.kept.making import Wanted
from compress.distill.kept.teacher import kept_view_size
from compress.distill.pairing import Planned
from compress.distill.requirements import kept_top_k, refuse_partial_logits
from compress.distill.scarce import hide_labels
from compress.distill.teachers.faster import Runtime, choose_runtime
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.transfer import open_transfer
from compress.distill.wish import Wish
from compress.errors import UsageError
from compress.progress import Progress
from compress.stage import settings_of
from compress.training.processes import Processes
from compress.training.trainee import input_digests, input_of, plan_views, views_size
from compress.training.views import ViewPlan


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that the students of one command share.

    Attributes:
        wish: what was asked for, with threads, device and the keeping of logits decided.
        course: the losses that teach, with all that the wish left open decided.
        dataset: the images with labels.
        transfer: the unlabelled images that teach in place of its training split, or None.
        teacher: not yet bound to views, if it is one that answers from disk.
        features: from inside which layers of both networks losses learn; empty where of none.
        views: what students see of the images that teach.
        evaluation_size: height and width at which images are read to be evaluated.
        processes: who trains together.
        kept_name: of the folder in the stage's for the teacher's logits, where none is named.
    """

    wish: Wish
    course: Course
    dataset: Dataset
    transfer: Unlabelled | None
    teacher: Teacher
    features: tuple[Planned, ...]
    views: ViewPlan
    evaluation_size: tuple[int, int]
    processes: Processes
    kept_name: str = KEPT

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
        return self.wish.teaching.logits or self.out / self.kept_name

    def wanted(self) -> Wanted:
        """Which of the teacher's logits the students need."""
        wish, temperature = self.wish, self.course.temperature()
        wanted = wanted_logits(self.views, temperature, wish.training, wish.keeping, self.processes)
        return replace(wanted, passes=wish.passes())

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
        """The form in which logits are kept; None where they are not.

        Raises:
            UsageError: a loss needs more than that form keeps.
        """
        if not self.keeps:
            return None
        form = kept_form(self.teacher, self.wanted(), self.kept, replaceable=self.replaces)
        refuse_partial_logits(self.course, form.top_k)
        return form.to_dict()

    def settings(self) -> dict[str, Any]:
        """Everything that decides the result: the same settings make the same weights."""
        wish = self.wish
        parts = (wish.run, wish.network, wish.training, wish.augmenting)
        settings = {"student": wish.student, **settings_of(*parts)}
        settings |= settings_of(wish.teachers, wish.teaching, wish.keeping)
        settings |= self.course.settings()
        return settings | {
            "data_fingerprint": self.dataset.fingerprint,
            "transfer_fingerprint": self.transfer.fingerprint if self.transfer else None,
            "teacher_identity": self.teacher.identity(),
            "answered_by": self.runtime(),
            "kept_form": self.kept_form(),
            "processes": self.processes.count,
            **input_digests(wish.student, wish.network),
        }


def prepare(wish: Wish, processes: Processes, progress: Progress) -> Lesson:
    """Open images and teacher, and settle what students will see."""
    run, teaching = wish.run, wish.teaching
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    courses = wish.courses(len(dataset.classes))
    # Of a search the first one of logits alone: then the teacher is asked once for all of them.
    course = next((c for c in courses if "features" not in c.needs()), courses[0])
    transfer = open_transfer(teaching.transfer, dataset, run, progress)
    teacher = load_teacher(wish.teachers, dataset, run, progress)
    refuse_partial_logits(course, kept_top_k(teacher))
    kept = keeps_logits(teacher, course, wish)
    teaching = replace(teaching, keep_logits="always" if kept else "never")
    student = input_of(wish.student, wish.network, dataset, run)
    train = transfer.split if transfer else hide_labels(dataset.train, teaching.labels, run.seed)
    source = transfer.fingerprint if transfer else f"{dataset.fingerprint}:train"
    size = views_size(dataset, student, *teacher.inputs)
    shown = kept_view_size(teacher) or size
    _refuse_small_views(wish, teacher, shown, size)
    return Lesson(
        wish=replace(wish, teaching=teaching),
        course=course,
        dataset=dataset,
        transfer=transfer,
        teacher=teacher,
        features=find_features(course, wish, dataset, teacher),
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
