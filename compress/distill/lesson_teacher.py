"""The teacher of a lesson on its way to the steps: bound to the views, hastened, kept on disk."""

from collections.abc import Sequence

from compress.distill.answers import answer_from_disk
from compress.distill.features import tapped
from compress.distill.kept.making import drop_unfit, missing_images
from compress.distill.lesson import Lesson
from compress.distill.teachers.faster import hasten
from compress.distill.teachers.protocol import Teacher
from compress.progress import Progress
from compress.stage import Stage


def asked_teacher(lesson: Lesson, progress: Progress) -> Teacher:
    """The teacher as it will be asked: bound to the views, and by what is fastest."""
    teacher, wanted = bound_teacher(lesson), lesson.wanted()
    if lesson.features:
        return teacher
    if lesson.keeps and not lesson.replaces and not missing_images(wanted, lesson.kept):
        return teacher  # nothing is left to ask
    asked = lesson.wish.teachers.teacher_runtime
    return hasten(teacher, lesson.views, lesson.runtime(), asked, progress)


def bound_teacher(lesson: Lesson) -> Teacher:
    """The teacher, ready for the views, with taps where losses look into it."""
    wanted = lesson.wanted()
    teacher = lesson.teacher.bind(lesson.views, wanted.temperature, wanted.numbers)
    return tapped(teacher, lesson.features) if lesson.features else teacher


def answering_teacher(lesson: Lesson, teacher: Teacher, progress: Progress) -> Teacher:
    """The teacher as it answers in every step: from disk, where its logits are kept."""
    if not lesson.keeps:
        return teacher
    return answer_from_disk(teacher, lesson.wanted(), lesson.kept, lesson.processes, progress)


def begin_lessons(lessons: Sequence[Lesson], stage: Stage, progress: Progress) -> None:
    """Make place in the folder: with --force for a new run, and for logits that do not serve."""
    for lesson in lessons:
        if lesson.keeps and lesson.replaces and lesson.kept.is_dir():
            drop_unfit(lesson.teacher, lesson.wanted(), lesson.kept, progress)
    stage.begin()
