"""Figures of rows: a name above, below it marks or bars with their intervals.

Names stand above their marks, so that a long one costs no width on a phone. Each panel has an
axis of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from compress_bench.report.canvas import (
    FONT,
    WIDTH,
    abridged,
    ground,
    new_axes,
    new_figure,
    paint,
)
from compress_bench.report.format import Estimate
from compress_bench.report.legend import Entry, draw_legend, legend_height, units_of
from compress_bench.report.ticks import inner_ticks, round_ticks

_LEFT, _RIGHT = 10.0, 16.0
_TITLE, _AXIS, _GAP = 22.0, 20.0, 12.0  # above a panel, below it, between two
_NAME, _LANE, _BELOW = 17.0, 11.0, 5.0  # of a row
_TITLE_LETTERS = 50
_LETTERS = 38  # of a name and its note, on one line


@dataclass(frozen=True)
class Mark:
    """A measured value.

    Attributes:
        estimate: value and bounds.
        paint: CSS variable of its colour.
        marker: matplotlib's marker; "" makes it a bar from zero.
        filled: or hollow.
        lane: which line below the name it lies on; 0 is the first.
    """

    estimate: Estimate
    paint: str
    marker: str = ""
    filled: bool = True
    lane: int = 0


@dataclass(frozen=True)
class Line:
    """A row: its name, its marks, and what is said at its right end."""

    name: str
    marks: tuple[Mark, ...]
    note: str = ""

    @property
    def height(self) -> float:
        """Units that it takes."""
        return _NAME + _LANE * (1 + max(mark.lane for mark in self.marks)) + _BELOW


@dataclass(frozen=True)
class Panel:
    """Rows on one axis, with a heading or none."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Limit:
    """A line across a panel's rows that times should stay left of."""

    value: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What all panels of a figure share.

    Attributes:
        axis: title of the axes.
        tick: a value as a short text.
        scale: "zero" starts there, "log" is logarithmic, "near" shows the marks' surroundings.
        legend: what the marks mean.
        limit: a line that is drawn in every panel.
    """

    axis: str
    tick: Callable[[float], str]
    scale: Literal["zero", "log", "near"] = "zero"
    legend: tuple[Entry, ...] = ()
    limit: Limit | None = None


def draw_panels(panels: Sequence[Panel], layout: Layout) -> Any:
    """A figure of `panels` (at least one, each with a row), one below the other."""
    top = legend_height(layout.legend)
    heights = [_title(panel) + sum(line.height for line in panel.lines) for panel in panels]
    total = top + sum(height + _AXIS for height in heights) + _GAP * (len(panels) - 1) + FONT + 6
    figure = new_figure(total)
    draw_legend(figure, layout.legend)
    page = units_of(figure)
    for panel, height in zip(panels, heights, strict=True):
        page.text(1, top + 12, abridged(panel.title, _TITLE_LETTERS), fontweight="bold", **_ink())
        start = top + _title(panel)
        box = (_LEFT, total - top - height, _RIGHT, start)
        _draw_panel(new_axes(figure, box), panel, layout)
        top += height + _AXIS + _GAP
    page.text(WIDTH - _RIGHT, total - 5, layout.axis, ha="right", **_ink())
    return figure


def _ink() -> dict[str, Any]:
    return {"color": paint("ink"), "fontsize": FONT}


def _title(panel: Panel) -> float:
    return _TITLE if panel.title else 0.0


def _draw_panel(axes: Any, panel: Panel, layout: Layout) -> None:
    axes.set_ylim(sum(line.height for line in panel.lines), 0)
    axes.yaxis.set_visible(False)
    _scale(axes, panel, layout)
    across = axes.get_yaxis_transform()
    y = 0.0
    for line in panel.lines:
        letters = _LETTERS - len(line.note)
        style = _ink() | ({} if layout.limit is None else {"bbox": ground()})
        axes.text(0, y + 9, abridged(line.name, letters), va="center", transform=across, **style)
        muted = {"color": paint("muted"), "fontsize": FONT, "transform": across}
        axes.text(1, y + 9, line.note, va="center", ha="right", **muted)
        for mark in line.marks:
            _draw_mark(axes, mark, y + _NAME + _LANE * (mark.lane + 0.5))
        y += line.height
    if layout.limit is not None:
        axes.axvline(layout.limit.value, color=paint("fail"), linewidth=1.4, linestyle=(0, (4, 2)))


def _scale(axes: Any, panel: Panel, layout: Layout) -> None:
    """The axis of one panel, with room beside its marks."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    values = [bound for line in panel.lines for mark in line.marks for bound in bounds(mark)]
    values += [layout.limit.value] if layout.limit else []
    if layout.scale == "log":
        low, high = min(values) / 1.25, max(values) * 1.25
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(round_ticks(low, high))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.12 * (max(values) - min(values)) or 0.02
        near = layout.scale == "near"
        axes.set_xlim(
            min(values) - room if near else 0, max(values) + room if near else _end(values)
        )
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xticks(inner_ticks(axes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: layout.tick(value)))


def _end(values: Sequence[float]) -> float:
    return 1.04 * max(values) or 1.0


def bounds(mark: Mark) -> tuple[float, float, float]:
    """Lower bound, value, upper bound; the value where a bound is unknown."""
    found = mark.estimate
    low = found.value if found.low is None else found.low
    return low, found.value, found.value if found.high is None else found.high


def _draw_mark(axes: Any, mark: Mark, y: float) -> None:
    color = paint(mark.paint)
    face = color if mark.filled else paint("surface")
    low, value, high = bounds(mark)
    if mark.marker:
        axes.plot([low, high], [y, y], color=color, linewidth=1.8, solid_capstyle="round")
        style: dict[str, Any] = {"markersize": 7, "markeredgecolor": color, "zorder": 3}
        axes.plot([value], [y], mark.marker, markerfacecolor=face, **style)
        return
    style = {"height": 0.72 * _LANE, "edgecolor": color, "linewidth": 1.2}
    axes.barh(y, value, facecolor=face, zorder=2, **style)
    if high > low:
        ends: dict[str, Any] = {"marker": "|", "markersize": 6, "linewidth": 1.2, "zorder": 3}
        axes.plot([low, high], [y, y], color=paint("ink"), **ends)
