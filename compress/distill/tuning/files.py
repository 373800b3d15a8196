"""tuning.json and its page on disk."""

from pathlib import Path

from compress.artifacts import write_text
from compress.distill.tuning.outcome import TUNING, Outcome, write_outcome
from compress.distill.tuning.page import render_html
from compress.errors import MissingExtraError
from compress.progress import Progress

PAGE = "tuning.html"


def write_tuning(outcome: Outcome, folder: Path, progress: Progress) -> tuple[Path, ...]:
    """Write tuning.json and, where its packages are installed, tuning.html.

    Returns:
        The files written.
    """
    content = write_outcome(outcome, folder)
    try:
        page = render_html(outcome, content)
    except MissingExtraError as error:
        progress.say(f"{PAGE} is not written: {error}")
        return (folder / TUNING,)
    write_text(folder / PAGE, page)
    return folder / TUNING, folder / PAGE
