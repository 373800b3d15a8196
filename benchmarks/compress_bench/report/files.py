"""report.json and its views on disk."""

from pathlib import Path
from typing import Any

from compress.artifacts import REPORT, read_json, write_json, write_text
from compress.errors import MissingExtraError
from compress.progress import SILENT, Progress
from compress_bench.report.facts import Report
from compress_bench.report.markdown_view import render_markdown
from compress_bench.report.page import render_html

MARKDOWN = "report.md"
PAGE = "report.html"


def load_report(path: Path) -> dict[str, Any]:
    """Read a report.json, given itself or its folder.

    Raises:
        ArtifactError: missing, not a report, or of another schema.
    """
    return read_json(path / REPORT if path.is_dir() else path, kind="report")


def write_report(report: Report, folder: Path, progress: Progress = SILENT) -> tuple[Path, ...]:
    """Write report.json, report.md and, where its packages are installed, report.html.

    The JSON comes first: the views can be made from it again, the measurement cannot.

    Returns:
        The files written.
    """
    paths = (folder / REPORT, folder / MARKDOWN, folder / PAGE)
    write_json(paths[0], report)
    write_text(paths[1], render_markdown(report))
    try:
        page = render_html(report)
    except MissingExtraError as error:
        progress.say(f"{PAGE} is not written: {error}")
        return paths[:2]
    write_text(paths[2], page)
    return paths
