"""Who answers in each step: the live teacher, or its logits, kept before the first one."""

from pathlib import Path

from compress.distill.course import Course
from compress.distill.kept.forecast import require_space
from compress.distill.kept.form import Form, choose_form
from compress.distill.kept.making import (
    Wanted,
    ask_teacher,
    look_at_kept,
    missing_images,
    planned_bytes,
)
from compress.distill.kept.teacher import KeptTeacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.wish import Wish
from compress.errors import ArtifactError
from compress.progress import Progress
from compress.settings import Keeping, Training
from compress.training.processes import Processes
from compress.training.views import ViewPlan

KEPT = "logits"  # folder of the kept logits inside the student's


def keeps_logits(teacher: Teacher, course: Course, wish: Wish) -> bool:
    """Whether the teacher's logits are to be kept: where that saves a pass, or was asked for."""
    teaching = wish.teaching
    # Nothing to ask where they are kept already; asked in every step in any case for its features.
    if not teacher.inputs or "features" in course.needs():
        return False
    if teaching.keep_logits != "auto":
        return teaching.keep_logits == "always"
    views = wish.augmenting.view_count(wish.training.epochs)
    return teaching.logits is not None or wish.passes() > views


def wanted_logits(
    plan: ViewPlan, temperature: float, training: Training, keeping: Keeping, processes: Processes
) -> Wanted:
    """Which logits the students of a command need, and which of them this process asks for."""
    return Wanted(
        plan=plan,
        numbers=tuple(range(plan.augmenting.view_count(training.epochs))),
        keeping=keeping,
        temperature=temperature,
        passes=training.epochs * training.runs,
        part=(processes.rank, processes.count),
    )


def kept_form(teacher: Teacher, wanted: Wanted, folder: Path, *, replaceable: bool) -> Form:
    """In which form the logits are, or will be, kept: it decides a result.

    Args:
        teacher: the live one.
        wanted: what is needed.
        folder: where they are, or will be.
        replaceable: whether others that are there will be removed, as --force does.

    Raises:
        ArtifactError: others are there, and stay; names each field that differs.
    """
    try:
        return look_at_kept(teacher, wanted, folder)
    except ArtifactError:
        if not replaceable:
            raise
        return choose_form(len(teacher.classes), wanted.keeping, wanted.temperature)


def require_room(teacher: Teacher, wanted: Wanted, folder: Path) -> None:
    """Refuse logits that the disk will not hold.

    Raises:
        ArtifactError: names both sizes.
    """
    everything = len(wanted.numbers) * len(wanted.plan.split)
    needed = planned_bytes(len(teacher.classes), wanted) * missing_images(wanted, folder)
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    require_space(place, needed // everything)


def answer_from_disk(
    teacher: Teacher, wanted: Wanted, folder: Path, processes: Processes, progress: Progress
) -> Teacher:
    """Ask the teacher about every view that is not kept yet, each process about its part.

    Returns:
        A teacher that answers from `folder`; the live one is not needed any more.
    """
    kept = ask_teacher(teacher, wanted, folder, progress)
    processes.wait()
    return KeptTeacher(kept).bind(wanted.plan, wanted.temperature, wanted.numbers)
