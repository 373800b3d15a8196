"""`compress suggest`: which students may meet the goals, before anything is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import write_text
from compress.data.wording import counted
from compress.errors import UsageError
from compress.progress import Progress
from compress.recipes import Recipe
from compress.search.distances import distances
from compress.search.screening import NOT_TRAINED, screen, with_int8
from compress.settings import Searching
from compress_bench.metrics import Goal
from compress_bench.report.search_page import write_search

RECIPE, FOUND = "recipe.yaml", "search.json"


def suggest(
    recipe: Recipe,
    searching: Searching,
    goals: Sequence[Goal],
    out: Path | None,
    *,
    source: str,
    progress: Progress,
) -> dict[str, Any]:
    """Screen the candidates, and say which one to start with.

    Args:
        recipe: the user's, or the demo's: images, teacher, export and bench.
        searching: families and widths.
        goals: the user's.
        out: folder for the recipe to start from, the result and its page; None writes nothing.
        source: the recipe's name, for errors.
        progress: shows what takes long.

    Returns:
        The content of search.json; `start` names the candidate whose recipe to start from.

    Raises:
        UsageError: a recipe without a student, goals that cannot be, or a folder of other things.
        CompressError: images, teacher or measurement fail.
    """
    if "distill" not in recipe:
        raise UsageError(
            f"{source}: expected a section distill, whose student candidates replace, found none"
        )
    _check_folder(out)
    found = screen(
        with_int8(recipe, goals), searching, goals, out, source=source, progress=progress
    )
    start = choose(found["candidates"])
    found |= {"start": None if start is None else start["name"]}
    if start is None:
        found |= {"distances": distances([c for c in found["candidates"] if c["goals"]])}
    found["sentences"] = [*_summary(found), *found["sentences"]]
    if out is not None:
        if start is not None:
            write_text(out / RECIPE, start["recipe"])
        write_search(found, out, progress)
    return found


def _check_folder(out: Path | None) -> None:
    """A recipe that a user wrote is not replaced."""
    if out is not None and (out / RECIPE).exists() and not (out / FOUND).exists():
        raise UsageError(
            f"{out / RECIPE}: expected a folder of an earlier suggest or a new one, found a recipe "
            "that suggest did not write; choose another --out"
        )


def choose(candidates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The smallest that meets what can be judged; else the smallest that may.

    Args:
        candidates: of a search's JSON, the smallest first.
    """
    left = [c for c in candidates if c["state"] == NOT_TRAINED]
    certain = [c for c in left if c["screened"] == "pass"]
    return next(iter(certain or left), None)


def _summary(found: Mapping[str, Any]) -> list[str]:
    """How many may meet the goals, and what only training tells."""
    candidates = found["candidates"]
    left = [c for c in candidates if c["state"] == NOT_TRAINED]
    said = [f"{len(left)} of {counted(len(candidates), 'candidate')} may meet the goals"]
    waiting = [
        f"{goal['variant']} {goal['metric']}" for goal in found["goals"] if goal["needs_training"]
    ]
    if waiting:
        said.append(f"only training tells: {', '.join(dict.fromkeys(waiting))}")
    if found["start"]:
        said.append(
            f"start with {found['start']}, the smallest of them; compress run --search trains "
            "several and finds the smallest that meets all goals"
        )
    return said + [item["sentence"] for item in found["distances"]]
