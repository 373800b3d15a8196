"""`compress suggest`: which students may meet the goals, before anything is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import read_json, write_text
from compress.data.wording import counted
from compress.errors import UsageError
from compress.progress import Progress
from compress.recipes import Recipe, settings_from
from compress.search.distances import distances
from compress.search.kept import forget
from compress.search.screening import NOT_TRAINED, SEARCH, screen, with_int8
from compress.settings import Searching
from compress_bench.metrics import Goal
from compress_bench.report.search_page import write_search

RECIPE, FOUND = "recipe.yaml", "search.json"


def suggest(
    recipe: Recipe,
    goals: Sequence[Goal],
    out: Path | None,
    *,
    source: str,
    force: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Screen the candidates, and say which one to start with.

    Args:
        recipe: the user's, or the demo's: images, teacher, export and bench; section search says
            who is looked at.
        goals: the user's.
        out: folder for the recipe to start from, the result and its page; None writes nothing.
        source: the recipe's name, for errors.
        force: measure again, and replace the recipe of an earlier suggest also if it was edited.
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
    searching: Searching = settings_from(recipe.get("search", {}), Searching, source)
    recipe = with_int8(recipe, goals)
    if out is not None:
        _check_folder(out, force=force)
        if force:
            forget(out / SEARCH)
    found = screen(recipe, searching, goals, out, source=source, progress=progress)
    start = choose(found["candidates"])
    found |= {"start": None if start is None else start["name"]}
    if start is None:
        found |= {"distances": distances([c for c in found["candidates"] if c["goals"]])}
    found["sentences"] = [*_summary(found), *found["sentences"]]
    if out is not None:
        # In this order a kill on the way leaves no recipe that the result does not know.
        (out / RECIPE).unlink(missing_ok=True)
        write_search(found, out, progress)
        if start is not None:
            write_text(out / RECIPE, start["recipe"])
    return found


def _check_folder(out: Path, *, force: bool) -> None:
    """Neither a user's recipe, nor an edited one, nor what a search has trained is replaced."""
    recipe, result = out / RECIPE, out / FOUND
    if not result.exists():
        if recipe.exists():
            raise UsageError(
                f"{recipe}: expected a folder of an earlier suggest or a new one, found a recipe "
                "that suggest did not write; choose another --out"
            )
        return
    found = read_json(result, kind=SEARCH)
    if found["verdict"] != NOT_TRAINED:
        raise UsageError(
            f"{out}: expected a folder of an earlier suggest or a new one, found the result of "
            "compress run --search; choose another --out"
        )
    if recipe.exists() and not force and recipe.read_text() != _written(found):
        raise UsageError(
            f"{recipe}: expected the recipe that suggest wrote, found one that was edited since; "
            "choose another --out, or give --force to replace it"
        )


def _written(found: Mapping[str, Any]) -> str | None:
    """The recipe that was written beside a result; None where nobody may meet the goals."""
    texts = (c["recipe"] for c in found["candidates"] if c["name"] == found.get("start"))
    return next(texts, None)


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
    looked_at = counted(len(candidates), "candidate")
    said = [f"{len(left) or 'none'} of {looked_at} may meet the goals"]
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
