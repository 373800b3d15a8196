"""What a search compares: teachers and methods, each held against the data before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress.distill.course import Course
from compress.distill.features import find_features
from compress.distill.lesson import Lesson, prepare
from compress.distill.pairing import Planned
from compress.distill.requirements import kept_top_k
from compress.distill.teachers.load import refuse_flags_of_one, refuse_nobody
from compress.distill.tuning.courses import start_of
from compress.distill.tuning.space import plan_space
from compress.distill.tuning.trial import Plan
from compress.distill.wish import Wish
from compress.errors import UsageError
from compress.progress import Progress
from compress.training.processes import Processes


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a search compares.

    Attributes:
        lessons: by teacher, all with one course.
        courses: of one method each.
        features: by teacher and method.
        plan: the search.
        asked: the flags that all courses share, as they were given.
    """

    lessons: Mapping[str, Lesson]
    courses: tuple[Course, ...]
    features: Mapping[tuple[str, str], tuple[Planned, ...]]
    plan: Plan
    asked: Mapping[str, Any]

    def lesson(self, teacher: str, course: Course) -> Lesson:
        """A teacher's lesson with a course."""
        features = self.features[teacher, course.chosen[0].method.name]
        return replace(self.lessons[teacher], course=course, features=features)

    def all_lessons(self) -> list[Lesson]:
        """Every teacher's lesson with every course."""
        return [self.lesson(name, course) for name in self.lessons for course in self.courses]

    def settings(self) -> dict[str, Any]:
        """Everything that decides the result."""
        all_of = [lesson.settings() for lesson in self.lessons.values()]
        each = ("teacher_identity", "answered_by", "kept_form")
        return all_of[0] | {
            "teacher": list(self.plan.teachers),
            **{name: [settings[name] for settings in all_of] for name in each},
            "method": [one.block() for course in self.courses for one in course.chosen],
            **self.asked,
            "tune": ",".join(self.plan.space.tuned),
            "tune_epochs": self.plan.budget,
        }


def find_candidates(wish: Wish, processes: Processes, progress: Progress) -> Candidates:
    """Open every teacher, and settle what is searched.

    Raises:
        UsageError: a budget too small, nothing to search for, or flags that cannot be told apart.
    """
    names = wish.teachers.teacher
    refuse_nobody(wish.teachers)
    if len(names) > 1:
        _refuse_for_several(wish)
    budget = wish.tuning.budget(wish.training.epochs, names)
    alone = [replace(wish, teachers=replace(wish.teachers, teacher=(name,))) for name in names]
    found = [prepare(one, processes, progress) for one in alone]
    if len(names) > 1:
        found = [
            replace(lesson, kept_name=f"{lesson.kept_name}/teacher-{k}")
            for k, lesson in enumerate(found, start=1)
        ]
    _refuse_largest_alone(found)
    courses = wish.courses(len(found[0].dataset.classes))
    plan = Plan(
        space=plan_space(wish.tuning.names(), [start_of(course) for course in courses]),
        teachers=names,
        epochs=wish.training.epochs,
        budget=budget,
        warmup=wish.training.warmup,
        seed=wish.run.seed,
    )
    lessons = dict(zip(names, found, strict=True))
    features = {
        (name, course.chosen[0].method.name): find_features(
            course, lesson.wish, lesson.dataset, lesson.teacher
        )
        for name, lesson in lessons.items()
        for course in courses
    }
    flags = ("temperature", "kd_weight", "ce_weight", "keep_logits")
    return Candidates(
        lessons=lessons,
        courses=courses,
        features=features,
        plan=plan,
        asked={flag: getattr(wish.teaching, flag) for flag in flags},
    )


def _refuse_for_several(wish: Wish) -> None:
    """What is said of a teacher must be clear whose it is; candidates have no shares."""
    refuse_flags_of_one(wish.teachers)
    if wish.teachers.teacher_shares:
        raise UsageError(
            "--teacher-shares and --tune: expected one of them; with --tune several teachers are "
            "candidates, of which each teaches alone"
        )
    if wish.teaching.logits:
        raise UsageError(
            f"--logits {wish.teaching.logits}: expected a single teacher, found "
            f"{len(wish.teachers.teacher)} candidates; leave it out, or give folders of kept "
            "logits as the teachers"
        )


def _refuse_largest_alone(lessons: Sequence[Lesson]) -> None:
    """Methods and temperatures are compared on all logits."""
    for lesson in lessons:
        form = lesson.kept_form()
        top_k = kept_top_k(lesson.teacher) or (form["top_k"] if form else 0)
        if top_k:
            raise UsageError(
                f"--tune: expected all logits of {lesson.teacher.name}, found the {top_k} largest, "
                "which serve one temperature; give --top-k 0"
            )
