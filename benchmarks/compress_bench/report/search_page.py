"""search.json and its page on disk: what `suggest` and a search without a winner leave."""

from pathlib import Path

from compress.artifacts import write_json, write_text
from compress.errors import MissingExtraError
from compress.progress import SILENT, Progress
from compress_bench.report.filling import data_uri, day, fill_template
from compress_bench.report.search.reading import Content, is_trained
from compress_bench.report.search.section import search_section
from compress_bench.report.search.words import page_title

SEARCH = "search.json"
PAGE = "search.html"


def render_search_html(content: Content) -> str:
    """The section of a report as a page of its own.

    Args:
        content: of search.json.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    return fill_template(
        "search.html.j2",
        {
            "title": page_title(content),
            "command": "compress run --search" if is_trained(content) else "compress suggest",
            "created": day(content),
            "search": search_section(content),
            "downloads": [(SEARCH, data_uri(content))],
        },
    )


def write_search(content: Content, folder: Path, progress: Progress = SILENT) -> tuple[Path, ...]:
    """Write search.json and, where its packages are installed, search.html.

    Returns:
        The files written.
    """
    write_json(folder / SEARCH, content)
    try:
        page = render_search_html(content)
    except MissingExtraError as error:
        progress.say(f"{PAGE} is not written: {error}")
        return (folder / SEARCH,)
    write_text(folder / PAGE, page)
    return folder / SEARCH, folder / PAGE
