"""`compress run --search`: goals in, the student that meets them out. Read top to bottom."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import BUNDLE, sha256_file, write_text
from compress.chain import BUNDLE as FILES
from compress.chain import TEACHER, Chain
from compress.errors import ArtifactError, UsageError
from compress.progress import Progress
from compress.recipes import Recipe, section_of, settings_from
from compress.search.candidate import Candidate
from compress.search.distances import distances
from compress.search.families import FAMILIES
from compress.search.halving import budget_of
from compress.search.kept import KEPT
from compress.search.recipe import Asked, promising_of, train_candidates
from compress.search.record import RECORD, open_record
from compress.search.screening import SEARCH, candidate_of, screen, with_int8
from compress.search.written import recipe_of
from compress.settings import Searching, Training
from compress.stage import RECIPE, dump, is_ours, read_settings
from compress_bench.report.search_page import write_search
from compress_bench.verdict.goals import parse_goals

WINNER = "winner.yaml"
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

    Validation chooses; the test images are looked at once, by the winner.

    Args:
        recipe: checked sections with goals; section search says who is looked at, and for how long.
        source: the recipe's name, for errors.
        out: folder that receives `teacher/`, `search/`, `bundle/`, search.json and the report.
        force: search anew although there is something.
        progress: says what runs.

    Raises:
        UsageError: no goals, or a section that leaves nothing to search.
    """
    goals = parse_goals(recipe.get("goals") or {}, f"{source}: goals")
    recipe = with_int8(recipe, goals)
    searching: Searching = settings_from(recipe.get("search", {}), Searching, source)
    _check(recipe, source, searching, bool(goals))
    chain = Chain(_to_check(recipe, searching), source, out, force, progress)
    chain.check()
    _refuse_other(out, force=force)
    if force:
        _clear(out / SEARCH)
    write_text(out / RECIPE, dump(recipe))

    progress.say("1 of 5: screen the candidates, untrained")
    screened = screen(recipe, searching, goals, out, source=source, progress=progress)
    if not promising_of(screened):
        return Found(search=_hopeless(screened, out, progress), report=None)
    record = open_record(out / SEARCH)
    if "train" in recipe:
        progress.say("2 of 5: train the teacher")
        with record.timed("teacher"):
            chain.train()
    progress.say("3 of 5: train the candidates")
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
    write_text(out / WINNER, best["recipe"])
    write_search(found, out, progress)

    _take_bundle(record.bundle(best["name"]), out / FILES, out / SEARCH)
    subject = {**recipe.get("export", {}), "subject": str(record.student(best["name"]))}
    last = {**recipe_of(recipe, candidate_of(best)), "export": subject}
    chain = Chain(last, source, out, force=False, progress=progress)
    progress.say(f"4 of 5: the files of {best['name']}")
    chain.export()
    progress.say("5 of 5: measure them on the test images")
    report = chain.bench()
    return Found(search=found, report=report | {"search": found})


def _to_check(recipe: Recipe, searching: Searching) -> Recipe:
    """The recipe of any candidate: what a stage would refuse of it, it refuses of all."""
    student = str(recipe.get("distill", {}).get("student") or (*searching.students, *FAMILIES)[0])
    any_one = recipe_of(recipe, Candidate(name=student, student=student))
    return {**any_one, "distill": {**any_one["distill"], "with_baseline": False, "runs": 1}}


def _check(recipe: Recipe, source: str, searching: Searching, has_goals: bool) -> None:
    searching.check()
    if not has_goals:
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


def _hopeless(screened: dict[str, Any], out: Path, progress: Progress) -> dict[str, Any]:
    """What is said where no candidate can meet the goals, whatever it learns."""
    missed = distances(screened["candidates"])
    said = "no candidate can meet the goals, whatever it learns: nothing was trained"
    found = screened | {
        "verdict": _FAIL,
        "distances": missed,
        "sentences": [said, *(one["sentence"] for one in missed), *screened["sentences"]],
    }
    write_search(found, out, progress)
    return found


def _refuse_other(out: Path, *, force: bool) -> None:
    """Refuse a folder whose files would be in the way, before anything has cost time."""
    bundle = out / FILES
    if not bundle.exists() or (bundle.is_dir() and not any(bundle.iterdir())):
        return
    if not is_ours(bundle / RECIPE):
        raise ArtifactError(
            f"{bundle}: expected nothing or files of compress export, found others; choose another "
            "--out"
        )
    if not force and not _found_by_search(bundle, out / SEARCH):
        raise ArtifactError(
            f"{bundle}: holds the files of a run without --search; choose another --out, or "
            "give --force to replace them"
        )


def _found_by_search(bundle: Path, search: Path) -> bool:
    settings = read_settings(bundle / RECIPE).get("export", {})
    return Path(str(settings.get("subject", ""))).is_relative_to(search)


def _clear(search: Path) -> None:
    """With --force: what an earlier search left, and nothing that is not one."""
    if not search.is_dir():
        return
    if not any((search / name).is_file() for name in (RECORD, KEPT)) and any(search.iterdir()):
        raise ArtifactError(
            f"{search}: expected what a search left, found other files; choose another --out"
        )
    shutil.rmtree(search)


def _take_bundle(found: Path, out: Path, search: Path) -> None:
    """Copy a finalist's bundle to where a run's bundle belongs; export finds it finished there."""
    if (out / BUNDLE).is_file() and sha256_file(out / BUNDLE) == sha256_file(found / BUNDLE):
        return
    shutil.rmtree(out, ignore_errors=True)  # of an earlier search: see `_refuse_other`
    copy = search / f".{FILES}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(found, copy)
    copy.replace(out)
