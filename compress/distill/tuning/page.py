"""The outcome of a search as one HTML page that works offline, in the style of bench's report."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from compress.data.wording import counted, duration_text
from compress.distill.tuning.figures import draw_all
from compress.distill.tuning.outcome import TUNING, Outcome, Taught
from compress.distill.tuning.table import trials_table
from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.filling import Picture, Tile, data_uri, fill_template
from compress_bench.report.format import Estimate, percent, points

_UNKNOWN = "not known"
_APART = ("trial", "teacher", "end")  # columns of the table that the template lays out itself


def render_html(outcome: Outcome, content: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        outcome: of the search.
        content: of tuning.json, which the page holds as a whole.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    table = trials_table(outcome)
    return fill_template(
        "tuning.html.j2",
        {
            "title": outcome.winner.settings.sentence(),
            "created": _day(content["created_utc"]),
            "tiles": tiles(outcome),
            "sentences": outcome.sentences,
            "columns": [name for name in table.columns if name not in _APART],
            "rows": table.rows,
            "several": len(outcome.teachers) > 1,
            "teachers": [_teacher_cells(one, outcome) for one in outcome.teachers],
            "pictures": draw_pictures(outcome),
            "facts": facts(outcome),
            "downloads": [(TUNING, data_uri(content))],
        },
    )


def _day(created: str) -> str:
    """The date in words."""
    moment = datetime.fromisoformat(created)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def draw_pictures(outcome: Outcome) -> list[Picture]:
    """Every figure as the template wants it."""
    with drawing_style():
        return [
            Picture(name, found.title, found.caption, found.label, to_svg(found.figure, name))
            for name, found in draw_all(outcome).items()
        ]


def tiles(outcome: Outcome) -> list[Tile]:
    """Key figures: accuracy, what the search gave, and what it took."""
    right, gain = outcome.accuracy, outcome.gain
    accuracy = percent(Estimate(right.value, right.low, right.high))
    found = [Tile(accuracy.text, "right on validation: the winner", f"({accuracy.bounds})")]
    if gain is not None:
        above = points(Estimate(gain.value, gain.low, gain.high), signed=True)
        found.append(Tile(above.text, "above the first settings", f"({above.bounds})"))
    complete = sum(trial.state == "complete" for trial in outcome.trials)
    found.append(Tile(str(len(outcome.trials)), "trials", f"{complete} of them to their end"))
    seconds = duration_text(sum(trial.seconds for trial in outcome.trials))
    used = f"of at most {outcome.plan.budget:,}, in {seconds}"
    return [*found, Tile(f"{outcome.epochs():,}", "student epochs", used)]


def _teacher_cells(taught: Taught, outcome: Outcome) -> tuple[str, ...]:
    """Name, own accuracy, trials, best student, and how far that is behind the winner."""
    own, best, behind = taught.own_accuracy, taught.accuracy, taught.behind
    student = _UNKNOWN if best is None else percent(Estimate(best.value, best.low, best.high)).full
    apart = "" if behind is None else points(Estimate(behind.value, behind.low, behind.high)).full
    return (
        taught.teacher,
        _UNKNOWN if own is None else percent(Estimate(own)).text,
        f"{taught.trials} in {counted(taught.epochs, 'epoch')}",
        student,
        "won" if taught.teacher == outcome.winner.teacher else apart,
    )


def facts(outcome: Outcome) -> list[tuple[str, str]]:
    """How the search went about it."""
    plan, space = outcome.plan, outcome.plan.space
    numbers = {name for method in space.methods() for name in space.numbers(method)}
    found = [("Teachers", ", ".join(plan.teachers)), ("Methods", ", ".join(space.methods()))]
    found += [("Began with", "; ".join(start.sentence() for start in space.starts))]
    for name in sorted(numbers):
        low, high = space.bounds(name)
        found.append((name, f"{low:g} to {high:g}, logarithmic"))
    rungs = " and ".join(map(str, plan.rungs()))
    return [
        *found,
        ("Epochs of a trial", f"{plan.epochs}" + (f", compared after {rungs}" if rungs else "")),
        ("Budget", f"{plan.share():,} epochs for each teacher"),
        ("Seed", str(plan.seed)),
    ]
