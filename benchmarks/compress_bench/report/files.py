"""report.json and its views on disk."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import REPORT, check_writable, read_json, write_json, write_text
from compress.errors import ArtifactError, MissingExtraError
from compress.progress import SILENT, Progress
from compress_bench.report.comparison import (
    render_comparison_html,
    render_comparison_markdown,
)
from compress_bench.report.facts import Report, dig
from compress_bench.report.markdown_view import render_markdown
from compress_bench.report.page import render_html
from compress_bench.report.sheet import comparison_csv, report_csv

MARKDOWN = "report.md"
SHEET = "report.csv"
PAGE = "report.html"
COMPARISON = "comparison"


def load_report(path: Path) -> dict[str, Any]:
    """Read a report.json, given itself or its folder.

    Raises:
        ArtifactError: missing, not a report, of another schema, or damaged.
    """
    file = path / REPORT if path.is_dir() else path
    found = read_json(file, kind="report")
    for path_in_file, kinds in _EXPECTED.items():
        _check_kind(file, path_in_file, dig(found, *path_in_file.split(".")), kinds)
    for name, fields in found["variants"].items():
        _check_kind(file, f"variants.{name}", fields, (dict,))
    return found


# What the views and the regression gate cannot do without, or cannot do with another kind of.
_EXPECTED: dict[str, tuple[type, ...]] = {
    "machine": (dict,),
    "settings": (dict,),
    "variants": (dict,),
    "machine.memory_bytes": (int, float, type(None)),
    "settings.reference": (str, type(None)),
    "verdict.status": (str, type(None)),
    "sweep.recommended": (dict, type(None)),
    "portability": (list, type(None)),
    "search": (dict, type(None)),
    "search.candidates": (list, type(None)),
    "search.teacher": (dict, type(None)),
    "repair": (dict, type(None)),
    "repair.steps": (list, type(None)),
}
_KINDS = {dict: "fields", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}


def _check_kind(file: Path, place: str, value: Any, kinds: tuple[type, ...]) -> None:
    if isinstance(value, kinds):
        return
    wanted, found = (_KINDS.get(kind, "a number") for kind in (kinds[0], type(value)))
    raise ArtifactError(f"{file}: {place}: expected {wanted}, found {found}; measure again")


def check_report_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, or where a report would replace what is not one.

    Raises:
        ArtifactError: a file stands in the folder's place, nothing can be written there,
            report.json is of another kind, or report.md, report.csv or report.html lie there
            without a report.json.
    """
    if folder.is_file():
        raise ArtifactError(
            f"{folder}: expected a folder for the report, found a file; choose another --out"
        )
    check_writable(folder)
    if (folder / REPORT).exists():
        if not _is_report(folder / REPORT):
            raise ArtifactError(
                f"{folder / REPORT}: expected a report of compress bench, found another file; "
                "choose another --out"
            )
        return
    for name in (MARKDOWN, SHEET, PAGE):
        if (folder / name).exists():
            raise ArtifactError(
                f"{folder / name}: expected nothing, or a report of compress bench with its "
                f"{REPORT}, found a file alone; choose another --out"
            )


def _is_report(path: Path) -> bool:
    """Whether a file is a report.json of any schema."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == "report"


def write_report(report: Report, folder: Path, progress: Progress = SILENT) -> tuple[Path, ...]:
    """Write report.json, .md, .csv and, where its packages are installed, report.html.

    The JSON comes first: the views can be made from it again, the measurement cannot.

    Returns:
        The files written.

    Raises:
        ArtifactError: the folder holds files of these names that are not a report's.
    """
    check_report_folder(folder)
    paths = tuple(folder / name for name in (REPORT, MARKDOWN, SHEET, PAGE))
    write_json(paths[0], report)
    write_text(paths[1], render_markdown(report))
    write_text(paths[2], report_csv(report))
    return paths if _write_page(paths[3], lambda: render_html(report), progress) else paths[:3]


def write_comparison(
    reports: Sequence[Report], folder: Path, progress: Progress = SILENT
) -> tuple[Path, ...]:
    """Write comparison.md, .csv and, where its packages are installed, comparison.html.

    Returns:
        The files written.
    """
    paths = tuple(folder / f"{COMPARISON}.{suffix}" for suffix in ("md", "csv", "html"))
    write_text(paths[0], render_comparison_markdown(reports))
    write_text(paths[1], comparison_csv(reports))
    html = paths[2]
    done = _write_page(html, lambda: render_comparison_html(reports), progress)
    return paths if done else paths[:2]


def _write_page(path: Path, render: Callable[[], str], progress: Progress) -> bool:
    """Whether a page could be written; says what is missing where it could not."""
    try:
        page = render()
    except MissingExtraError as error:
        progress.say(f"{path.name} is not written: {error}")
        return False
    write_text(path, page)
    return True
