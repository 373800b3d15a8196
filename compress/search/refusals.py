"""What a search is refused for before anything has cost time."""

from collections.abc import Sequence
from typing import Any

from compress.errors import UsageError
from compress.recipes import Recipe, section_of, settings_from
from compress.search.candidate import Candidate
from compress.search.families import FAMILIES, TEACHER
from compress.search.finalists import of_students
from compress.search.goals import role
from compress.search.halving import budget_of
from compress.search.written import recipe_of
from compress.settings import Augmenting, Run, Searching, Teachers, Training
from compress.stage import settings_of
from compress_bench.metrics import Goal

_OF_MACHINE = ("threads", "device")  # what these come to depends on the machine


def any_candidate(recipe: Recipe, searching: Searching) -> Recipe:
    """The recipe of any candidate: what a stage would refuse of it, it refuses of all."""
    student = str(recipe.get("distill", {}).get("student") or (*searching.students, *FAMILIES)[0])
    any_one = recipe_of(recipe, Candidate(name=student, student=student))
    return {**any_one, "distill": {**any_one["distill"], "with_baseline": False, "runs": 1}}


def common_settings(recipe: Recipe, source: str) -> dict[str, Any]:
    """Settings that all candidates are trained with, as their folders keep them."""
    section = section_of(recipe, "distill")
    parts = (settings_from(section, kind, source) for kind in (Run, Training, Augmenting))
    settings = settings_of(*parts) | {"runs": 1}
    return {key: value for key, value in settings.items() if key not in _OF_MACHINE}


def check_search(recipe: Recipe, source: str, searching: Searching, goals: Sequence[Goal]) -> None:
    """Refuse what leaves nothing to search, or nothing to search for.

    Args:
        recipe: checked sections.
        source: its name.
        searching: its section search.
        goals: the user's.

    Raises:
        UsageError: says what is missing.
    """
    searching.check()
    if not goals:
        raise UsageError(
            f"--search: expected goals to search for, found none; give --goals goals.toml, or "
            f"write a section goals into {source}"
        )
    if "distill" not in recipe:
        raise UsageError(
            f"{source}: expected a section distill, whose student candidates replace, found none"
        )
    if recipe.get("export", {}).get("subject"):
        raise UsageError(
            f"{source}: export.subject: expected none with --search, which exports what it finds; "
            "leave it out"
        )
    training: Training = settings_from(section_of(recipe, "distill"), Training, source)
    budget_of(searching, training.epochs)
    teachers: Teachers = settings_from(section_of(recipe, "distill"), Teachers, source)
    if recipe.get("export", {}).get("teacher") == "none":
        refuse_comparisons({}, goals, source, "export.teacher none")
    if len(teachers.teacher) > 1:
        refuse_comparisons(recipe, goals, source, "several")


def refuse_comparisons(recipe: Recipe, goals: Sequence[Goal], source: str, found: str) -> None:
    """Refuse goals that compare with the teacher, where finalists will have no file of it.

    Args:
        recipe: whose section export may name one.
        goals: the user's.
        source: the recipe's name.
        found: in the teacher's place.

    Raises:
        UsageError: names the goals.
    """
    compared = [goal for goal in of_students(goals) if role(goal.vs) == TEACHER]
    if compared and recipe.get("export", {}).get("teacher") is None:
        names = ", ".join(f"{goal.variant} {goal.name}" for goal in compared)
        raise UsageError(
            f"{source}: expected one teacher whose file stands beside the students', since goals "
            f"compare with it ({names}), found {found}; name one in export.teacher, or give these "
            'goals another vs, such as "student"'
        )
