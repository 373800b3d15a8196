"""The folder of a run in which a search was before: what is ours to replace, and what is not."""

import shutil
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from compress.artifacts import BUNDLE, REPORT, read_json, write_text
from compress.errors import ArtifactError
from compress.search.kept import KEPT
from compress.search.record import LOGITS, RECORD
from compress.stage import RECIPE, differences, foreign_names, is_ours, read_settings
from compress_bench.report.files import MARKDOWN, PAGE, SHEET

WINNER, NEAREST = "winner.yaml", "nearest.yaml"
_COPY = ".bundle"  # of a finalist's files, on its way to where a run's bundle belongs
_KINDS = {RECORD: "search record", KEPT: "screening"}
_SCREENED = "screening-*"  # files with random weights, until they are measured
_OF_CANDIDATE = ("student", "bundle")


def refuse_other(bundle: Path, search: Path, *, force: bool) -> None:
    """Refuse a bundle that would be in the way, before anything has cost time.

    Raises:
        ArtifactError: the folder holds other things, or what a run without a search made.
    """
    if not bundle.exists() or (bundle.is_dir() and not any(bundle.iterdir())):
        return
    if not is_ours(bundle / RECIPE):
        raise ArtifactError(
            f"{bundle}: expected nothing or files of compress export, found others; choose another "
            "--out"
        )
    if force:
        _refuse_foreign(bundle)
    elif not _found_by_search(bundle, search):
        raise ArtifactError(
            f"{bundle}: expected files of a student that the search in {search} trained, found "
            f"those of {_subject(bundle)}; move them away, or choose another --out"
        )


def _found_by_search(bundle: Path, search: Path) -> bool:
    return Path(_subject(bundle)).is_relative_to(search)


def _subject(bundle: Path) -> str:
    return str(read_settings(bundle / RECIPE).get("export", {}).get("subject", "another command"))


def refuse_other_settings(search: Path, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with candidates that were trained otherwise.

    Args:
        search: the folder of candidates.
        asked: what is the same for all of them, as `settings_of` gives it.

    Raises:
        ArtifactError: names a candidate and what differs.
    """
    for recipe in sorted(search.glob(f"*/student/{RECIPE}")):
        there = read_settings(recipe).get("distill", {})
        known = [key for key in asked if key in there]  # others are of an older form
        different = differences(
            {key: there[key] for key in known}, {key: asked[key] for key in known}
        )
        if different:
            raise ArtifactError(
                f"{recipe.parent}: was trained with other settings ({'; '.join(different)}); "
                "choose another --out, or give --force to search anew"
            )


def _refuse_foreign(bundle: Path) -> None:
    foreign = foreign_names(bundle)
    if foreign:
        raise ArtifactError(
            f"{bundle}: expected only files of compress export, which those of another student "
            f"replace, found others ({foreign[0]}); move them away and give the command again: "
            "nothing is trained twice"
        )


def clear(search: Path) -> None:
    """With --force: remove what an earlier search left.

    Raises:
        ArtifactError: there is anything else; then nothing is removed.
    """
    if not search.is_dir():
        return
    foreign = sorted(path.name for path in search.iterdir() if not _is_left(path))
    if foreign:
        raise ArtifactError(
            f"{search}: expected what a search left, found other files ({foreign[0]}); choose "
            "another --out"
        )
    shutil.rmtree(search)


def _is_left(path: Path) -> bool:
    """Whether a search left this in its folder: a file, logits, or what became of a candidate."""
    if path.name in _KINDS:
        return _is_kind(path, _KINDS[path.name])
    if any(fnmatch(path.name, ours) for ours in (_SCREENED, _COPY, ".writing-*")):
        return True
    if not path.is_dir():
        return False
    if fnmatch(path.name, f"{LOGITS}*"):
        return not foreign_names(path)
    parts = list(path.iterdir())
    return all(
        part.is_dir() and part.name in _OF_CANDIDATE and not foreign_names(part) for part in parts
    )


def _is_kind(path: Path, kind: str) -> bool:
    try:
        return bool(read_json(path, kind=kind))
    except ArtifactError:
        return False


def take_bundle(found: Path, bundle: Path, search: Path) -> None:
    """Copy a finalist's bundle to where a run's bundle belongs; export finds it finished there.

    Raises:
        ArtifactError: files that no export wrote lie in the one that would be replaced.
    """
    if (bundle / BUNDLE).is_file() and digests(bundle) == digests(found):
        return
    _remove_bundle(bundle)
    copy = search / _COPY
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(found, copy)
    copy.replace(bundle)


def digests(bundle: Path) -> dict[str, str]:
    """SHA-256 of each file in a bundle, by variant."""
    content = read_json(bundle / BUNDLE, kind="bundle")
    return {variant: entry["sha256"] for variant, entry in content["variants"].items()}


def _remove_bundle(bundle: Path) -> None:
    if bundle.exists():
        _refuse_foreign(bundle)
        shutil.rmtree(bundle)


def write_recipe(best: Mapping[str, Any], out: Path) -> None:
    """The recipe of the winner, or of the nearest, as what it is."""
    name, other = (WINNER, NEAREST) if best["won"] else (NEAREST, WINNER)
    write_text(out / name, best["recipe"])
    (out / other).unlink(missing_ok=True)


def forget(out: Path, bundle: Path, search: Path) -> None:
    """Remove what an earlier search made of its winner: there is none for the goals of now.

    A report without a search stays, and a bundle that no search made or that holds other files.
    """
    ours = is_ours(bundle / RECIPE) and _found_by_search(bundle, search)
    if ours and not foreign_names(bundle):
        _remove_bundle(bundle)
    gone = [WINNER, NEAREST]
    if _is_kind(out / REPORT, "report") and "search" in read_json(out / REPORT, kind="report"):
        gone += [PAGE, MARKDOWN, SHEET, REPORT]
    for name in gone:
        (out / name).unlink(missing_ok=True)
