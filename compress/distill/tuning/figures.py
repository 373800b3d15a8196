"""The trials of a search in pictures: how they learnt, and what each setting did."""

from collections.abc import Callable, Sequence
from typing import Any

from compress.distill.tuning.looks import Look, looks_of
from compress.distill.tuning.outcome import Outcome
from compress.distill.tuning.trial import Trial
from compress_bench.report.canvas import (
    Drawing,
    axis_titles,
    new_axes,
    new_figure,
    paint,
    shortened,
)
from compress_bench.report.ticks import round_ticks

_PLOT, _LINE = 260.0, 15.0  # heights in units: of a figure without a legend, and of a legend's line
_LEFT, _BOTTOM, _RIGHT, _TOP = 42.0, 40.0, 12.0, 30.0
_ROW = 34.0  # height of a category
_LETTERS = 44  # of a name in a legend
_ACCURACY = "Validation accuracy"


def draw_all(outcome: Outcome) -> dict[str, Drawing]:
    """Every figure that the search has something to show in, by name; inside `drawing_style`."""
    found = {"learning": draw_learning(outcome)}
    if len(outcome.teachers) > 1:
        found["teacher"] = draw_categories(outcome, "Teacher", lambda trial: trial.teacher)
    if len(outcome.plan.space.starts) > 1:
        found["method"] = draw_categories(outcome, "Method", lambda trial: trial.settings.method)
    numbers: dict[str, Callable[[Trial], float | None]] = {
        "temperature": lambda trial: trial.settings.temperature,
        "kd_weight": lambda trial: trial.settings.kd_weight,
        "ce_weight": lambda trial: trial.settings.ce_weight or None,
    }
    for name, value in numbers.items():
        if name in outcome.plan.space.tuned:
            found[name] = draw_number(outcome, name, value)
    return found


def draw_learning(outcome: Outcome) -> Drawing:
    """Validation accuracy over the epochs, a line a trial."""
    from matplotlib.ticker import MaxNLocator

    looks = looks_of(outcome)
    figure, axes = _canvas(looks)
    for trial in _winner_last(outcome):
        look, won = looks[trial.number], trial.number == outcome.winner.number
        epochs = range(1, len(trial.accuracies) + 1)
        marker = look.marker if len(trial.accuracies) == 1 else None
        width = 2.6 if won else 0.9
        style = {"color": paint(look.paint), "linestyle": look.line, "linewidth": width}
        axes.plot(epochs, trial.accuracies, marker=marker, markersize=3.5, clip_on=False, **style)
    axes.set_xlim(min(1.0, outcome.plan.epochs - 1), outcome.plan.epochs)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.margins(y=0.06)
    _in_percent(axes.yaxis)
    axis_titles(axes, "Epoch", _ACCURACY)
    _legend(figure, looks, lines=True)
    rungs = " and ".join(map(str, outcome.plan.rungs()))
    compared = f" After epoch {rungs} the weaker ones were stopped." if rungs else ""
    return Drawing(
        figure=figure,
        title="How the students learnt",
        caption=f"A line a trial; the thick one won.{compared}",
        label=f"Validation accuracy of {len(outcome.trials)} trials by epoch; {_won(outcome)}.",
    )


def draw_number(outcome: Outcome, name: str, value: Callable[[Trial], float | None]) -> Drawing:
    """Validation accuracy over one setting, a point a trial."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    looks = looks_of(outcome)
    figure, axes = _canvas(looks)
    points = [(trial, value(trial)) for trial in _winner_last(outcome)]
    known = [number for _, number in points if number is not None]
    low, high = min(known) / 1.15, max(known) * 1.15
    axes.set_xscale("log")
    for trial, number in points:
        if number is not None:
            _point(axes, trial, (number, trial.last_accuracy()), looks, outcome)
    axes.set_xlim(low, high)
    axes.set_xticks(round_ticks(low, high))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axes.margins(y=0.08)
    _in_percent(axes.yaxis)
    axis_titles(axes, name, _ACCURACY)
    _legend(figure, looks, lines=False)
    return _drawing(outcome, figure, name)


def draw_categories(outcome: Outcome, title: str, category: Callable[[Trial], str]) -> Drawing:
    """Validation accuracy by teacher or by method, a point a trial."""
    looks = looks_of(outcome)
    names = list(dict.fromkeys(category(trial) for trial in outcome.trials))
    figure = new_figure(_TOP + _BOTTOM + _ROW * len(names))
    axes = new_axes(figure, (14.0, _BOTTOM, 14.0, 14.0))
    for trial in _winner_last(outcome):
        row = float(names.index(category(trial)))
        _point(axes, trial, (trial.last_accuracy(), row), looks, outcome)
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.set_yticks([])
    axes.margins(x=0.06)
    _in_percent(axes.xaxis)
    left = axes.get_xlim()[0]
    for row, name in enumerate(names):
        text = shortened(name, _LETTERS)
        axes.text(left, row - 0.42, text, color=paint("ink"), va="center", ha="left")
    axis_titles(axes, _ACCURACY, "")
    return _drawing(outcome, figure, title)


def _drawing(outcome: Outcome, figure: Any, name: str) -> Drawing:
    return Drawing(
        figure=figure,
        title=name,
        caption="A point a trial; the large one won. Hollow: stopped early, where it had come to.",
        label=f"Validation accuracy of {len(outcome.trials)} trials by {name}; {_won(outcome)}.",
    )


def _won(outcome: Outcome) -> str:
    winner = outcome.winner
    return f"trial {winner.number} won with {winner.settings.sentence()}"


def _winner_last(outcome: Outcome) -> Sequence[Trial]:
    """Those that have an accuracy, the winner on top of the others."""
    known = [trial for trial in outcome.trials if trial.last_accuracy() is not None]
    return sorted(known, key=lambda trial: trial.number == outcome.winner.number)


def _canvas(looks: dict[int, Look]) -> tuple[Any, Any]:
    """A figure with room for a legend above the axes."""
    lines = len({look.group for look in looks.values()})
    room = _LINE * lines if lines > 1 else 0.0
    figure = new_figure(_PLOT + room)
    return figure, new_axes(figure, (_LEFT, _BOTTOM, _RIGHT, _TOP + room))


def _legend(figure: Any, looks: dict[int, Look], *, lines: bool) -> None:
    """What the colours are: teachers, or methods, where there are several."""
    from matplotlib.lines import Line2D

    groups = {look.group: look for look in looks.values()}
    if len(groups) == 1:
        return
    handles = [
        Line2D(
            [],
            [],
            color=paint(look.paint),
            linestyle=look.line if lines else "none",
            marker="none" if lines else look.marker,
            linewidth=1.8,
            label=shortened(group, _LETTERS),
        )
        for group, look in groups.items()
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.0,
        borderpad=0.1,
        frameon=False,
        labelcolor=paint("ink"),
        labelspacing=0.2,
    )


def _point(
    axes: Any,
    trial: Trial,
    place: tuple[float | None, float | None],
    looks: dict[int, Look],
    outcome: Outcome,
) -> None:
    """A trial's marker: large for the winner, hollow where the trial was not complete."""
    look, won = looks[trial.number], trial.number == outcome.winner.number
    color = paint(look.paint)
    style = {
        "markersize": 11 if won else 6,
        "markerfacecolor": color if trial.state == "complete" else "none",
        "markeredgecolor": paint("ink") if won else color,
    }
    axes.plot([place[0]], [place[1]], look.marker, zorder=3, clip_on=False, **style)


def _in_percent(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.4g} %"))
