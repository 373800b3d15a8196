"""What a recipe asks `compress distill` for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.distill.wish import Wish
from compress.errors import UsageError
from compress.recipes import Recipe, section_of, settings_from
from compress.settings import (
    Augmenting,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
    Tuning,
)


def wish_of(recipe: Recipe, source: str, *, teacher: Path, out: Path, force: bool) -> Wish:
    """The wish of a recipe's section distill.

    Args:
        recipe: checked sections.
        source: the recipe's name, for errors.
        teacher: folder of the one that its section train makes, if it names no other.
        out: folder of the student.
        force: whether what is there is replaced.

    Raises:
        UsageError: no student, no teacher, or a value of the wrong type.
    """
    section = section_of(recipe, "distill")

    def settings(kind: type[Any]) -> Any:
        return settings_from(section, kind, source)

    teachers: Teachers = settings(Teachers)
    if not teachers.teacher:
        if "train" not in recipe:
            raise UsageError(
                f"{source}: distill.teacher: expected a teacher, or a section train that "
                "makes one, found neither"
            )
        teachers = replace(teachers, teacher=(str(teacher),))
    if not section.get("student"):
        raise UsageError(f"{source}: distill.student: expected a network, found nothing")
    return Wish(
        student=str(section["student"]),
        teachers=teachers,
        teaching=settings(Teaching),
        keeping=settings(Keeping),
        network=settings(Network),
        training=settings(Training),
        augmenting=settings(Augmenting),
        run=replace(settings(Run), out=out, force=force),
        tuning=settings(Tuning),
    )
