"""`compress run --search`: goals in, the student that meets them out. Read top to bottom."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import write_text
from compress.chain import BUNDLE as FILES
from compress.chain import TEACHER, Chain
from compress.progress import Progress
from compress.recipes import Recipe, settings_from
from compress.search.distances import distances
from compress.search.folder import (
    clear,
    forget,
    refuse_other,
    refuse_other_settings,
    take_bundle,
    write_recipe,
)
from compress.search.recipe import Asked, promising_of, train_candidates
from compress.search.record import open_record
from compress.search.refusals import (
    any_candidate,
    check_search,
    common_settings,
    refuse_comparisons,
)
from compress.search.screening import SEARCH, candidate_of, screen, with_int8
from compress.search.written import left_out, recipe_of
from compress.settings import Searching
from compress.stage import RECIPE, dump
from compress_bench.report.search_page import write_search
from compress_bench.verdict.goals import parse_goals

_FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Found:
    """How a search ended.

    Attributes:
        search: the content of search.json.
        report: of the winner's files, or the nearest's, on test; None where nothing was trained.
    """

    search: Mapping[str, Any]
    report: dict[str, Any] | None


def run_search(recipe: Recipe, *, source: str, out: Path, force: bool, progress: Progress) -> Found:
    """Screen students against the goals, train the promising ones, and measure the winner.

    Validation chooses: what finalists' checkpoints and files say of the test images is not looked
    at, and the report on them is made of the winner alone.

    Args:
        recipe: checked sections with goals; section search says who is looked at, and for how long.
        source: the recipe's name, for errors.
        out: folder that receives `teacher/`, `search/`, `bundle/`, search.json and the report.
        force: search anew although there is something.
        progress: says what runs.

    Raises:
        UsageError: no goals, or a section that leaves nothing to search.
    """
    out = out.resolve()  # what lies there is known again from another folder
    goals = parse_goals(recipe.get("goals") or {}, f"{source}: goals")
    recipe = with_int8(recipe, goals)
    searching: Searching = settings_from(recipe.get("search", {}), Searching, source)
    check_search(recipe, source, searching, goals)
    chain = Chain(any_candidate(recipe, searching), source, out, force, progress)
    chain.check()
    refuse_other(out / FILES, out / SEARCH, force=force)
    if force:
        clear(out / SEARCH)
    refuse_other_settings(out / SEARCH, common_settings(recipe, source))
    write_text(out / RECIPE, dump(recipe))

    progress.say("1 of 5: screen the candidates, untrained")
    screened = screen(recipe, searching, goals, out, source=source, progress=progress)
    if screened["teacher"]["size_bytes"] is None:
        refuse_comparisons(recipe, goals, source, f"none in {screened['teacher']['student']}")
    if not promising_of(screened):
        return Found(search=_hopeless(screened, out, progress), report=None)
    record = open_record(out / SEARCH)
    if "train" in recipe:
        progress.say("2 of 5: train the teacher")
        with record.timed("teacher"):
            chain.train()
    progress.say("3 of 5: train the candidates")
    progress.say_all(left_out(recipe))
    asked = Asked(
        recipe=recipe,
        source=source,
        searching=searching,
        goals=goals,
        teacher=out / TEACHER,
        record=record,
    )
    found = train_candidates(asked, screened, progress)
    best = next(c for c in found["candidates"] if c["name"] == found["nearest"])
    write_recipe(best, out)
    write_search(found, out, progress)

    take_bundle(record.bundle(best["name"]), out / FILES, out / SEARCH)
    subject = {**recipe.get("export", {}), "subject": str(record.student(best["name"]))}
    last = {**recipe_of(recipe, candidate_of(best)), "export": subject}
    chain = Chain(last, source, out, force=False, progress=progress)
    progress.say(f"4 of 5: the files of {best['name']}")
    chain.export()
    progress.say("5 of 5: measure them on the test images")
    report = chain.bench()
    return Found(search=found, report=report | {"search": found})


def _hopeless(screened: dict[str, Any], out: Path, progress: Progress) -> dict[str, Any]:
    """What is said where no candidate can meet the goals, whatever it learns."""
    missed = distances(screened["candidates"])
    said = "no candidate can meet the goals, whatever it learns: nothing was trained"
    forget(out, out / FILES, out / SEARCH)
    found = screened | {
        "verdict": _FAIL,
        "distances": missed,
        "sentences": [said, *(one["sentence"] for one in missed), *screened["sentences"]],
    }
    write_search(found, out, progress)
    return found
