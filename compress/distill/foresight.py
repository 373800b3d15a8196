"""What a lesson would be, before it begins: its first steps on a copy; nothing is written."""

from collections.abc import Mapping
from typing import Any

from compress.artifacts import MANIFEST
from compress.distill.answers import require_room
from compress.distill.kept.making import missing_images, planned_bytes
from compress.distill.lesson import Lesson
from compress.distill.lesson_teacher import bound_teacher
from compress.distill.preflight import Lessons, TimedTeacher, preflight
from compress.distill.requirements import remarks
from compress.distill.students import taught_student
from compress.distill.teachers.check import check_teacher
from compress.progress import Progress
from compress.stage import open_stage
from compress.training.trainee import make_job


def foresee_lesson(
    lesson: Lesson, settings: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """What `compress.distill.preflight` finds, with "course" and "layers" beside it.

    Args:
        lesson: what would be taught.
        settings: of the stage, which a folder that is there must have.
        progress: told what is looked at.
    """
    wish = lesson.wish
    check_teacher(lesson.teacher, lesson.dataset, progress)
    wanted = lesson.wanted()
    if wish.run.out:
        open_stage(wish.run.out, "distill", settings, result=MANIFEST, force=wish.run.force)
    if lesson.keeps:
        require_room(lesson.teacher, wanted, lesson.kept)
    teacher = TimedTeacher(bound_teacher(lesson))
    images = len(lesson.views.split)
    lacking = missing_images(wanted, lesson.kept) // images if lesson.keeps else wanted.passes
    lessons = Lessons(
        teacher=teacher,
        temperature=wanted.temperature,
        passes=lacking if teacher.inputs else 0,
        kept_bytes=planned_bytes(len(teacher.classes), wanted) if lesson.keeps else None,
    )
    networks = wish.training.runs * (2 if wish.teaching.with_baseline else 1)
    job = make_job(taught_student(lesson, teacher, {}, 0), progress)
    found = preflight(job, lesson.dataset, lessons, networks=networks)
    found["warnings"] += remarks(lesson.course, job.plan, job.epochs)
    return found | {
        "course": lesson.course.settings() | {"sentence": lesson.course.sentence()},
        "layers": [planned.record() for planned in lesson.features],
    }
