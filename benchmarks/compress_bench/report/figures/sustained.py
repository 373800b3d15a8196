"""From idle on, without a pause: what heat and clocks do to the time of an inference."""

from dataclasses import dataclass
from typing import Any

from compress_bench.report import facts
from compress_bench.report.canvas import (
    FONT,
    Drawing,
    axis_titles,
    new_axes,
    new_figure,
    paint,
)
from compress_bench.report.facts import Report
from compress_bench.report.format import TIMES, Estimate, ratio
from compress_bench.report.labels import spread
from compress_bench.report.legend import Entry, draw_legend, legend_height
from compress_bench.report.series import Series, by_variant

POSITION = 28

_HEIGHT = 250.0
_FEW = 24  # windows up to which each has a marker


@dataclass(frozen=True)
class Course:
    """One variant's windows.

    Attributes:
        name: of the variant.
        seconds: since idle at each window's end.
        pace: median of each window over the burst's, a ratio.
        ratio: sustained over burst, with bounds.
        look: of the variant.
    """

    name: str
    seconds: tuple[float, ...]
    pace: tuple[float, ...]
    ratio: Estimate | None
    look: Series


def applies(report: Report) -> bool:
    """Whether any variant was run without a pause."""
    return bool(courses_of(report))


def draw(report: Report) -> Drawing:
    """One line a variant, scaled by its burst so that they can share an axis."""
    courses = courses_of(report)
    said = (f"{c.name} {ratio(c.ratio).full}" for c in courses if c.ratio is not None)
    return Drawing(
        figure=_lines(courses),
        title="Burst and sustained",
        caption="Median of each window over that of the burst from idle: 1 is as fast as at the "
        "start. At the end of each line its sustained time over its burst, with "
        + (
            "the least and the greatest of any two windows."
            if _are_ranges(report)
            else "its interval."
        ),
        label=f"Sustained time over burst: {'; '.join(said) or 'not given'}.",
    )


def _are_ranges(report: Report) -> bool:
    every = facts.variants(report).values()
    return any(facts.is_range(fields, "sustained", "ratio") for fields in every)


def courses_of(report: Report) -> list[Course]:
    """Variants with two windows or more, in the report's order."""
    found = []
    for name, look in by_variant(report).items():
        fields = facts.dig(facts.timed(report, name), "sustained")
        windows = [float(w) for w in facts.listed(fields, "windows_seconds") if w is not None]
        burst, length = facts.estimate(fields, "burst"), facts.number(fields, "window_seconds")
        if len(windows) < 2 or burst is None or not burst.value or not length:
            continue
        ends = [float(end) for end in facts.listed(fields, "windows_end_seconds")]
        if len(ends) != len(windows):  # a report of before has none
            ends = [length * (i + 1) for i in range(len(windows))]
        pace = tuple(window / burst.value for window in windows)
        found.append(Course(name, tuple(ends), pace, facts.estimate(fields, "ratio"), look))
    return found


def _lines(courses: list[Course]) -> Any:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    legend = [Entry(c.name, c.look.marker, c.look.paint, c.look.filled) for c in courses]
    top = legend_height(legend)
    figure = new_figure(_HEIGHT + top)
    draw_legend(figure, legend)
    axes = new_axes(figure, (42.0, 40.0, 66.0, 30.0 + top))
    axes.axhline(1, color=paint("muted"), linewidth=1)
    for course in courses:
        color = paint(course.look.paint)
        few = len(course.seconds) <= _FEW
        style: dict[str, Any] = {"marker": course.look.marker if few else "", "markersize": 4}
        line = {"color": color, "linewidth": 1.6 if few else 1.0}
        axes.plot(
            course.seconds, course.pace, **line, **style, markerfacecolor=paint(course.look.face)
        )
    axes.set_xlim(0, max(course.seconds[-1] for course in courses))
    axes.set_ylim(*_limits(courses))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}{TIMES}"))
    _ends(axes, courses)
    axis_titles(axes, "Without a pause since idle", "Time over burst")
    return figure


def _limits(courses: list[Course]) -> tuple[float, float]:
    """Room for all lines, and at least a twentieth to both sides of 1."""
    values = [value for course in courses for value in course.pace]
    values += [b for c in courses if c.ratio for b in (c.ratio.low, c.ratio.high) if b is not None]
    low, high = min(*values, 0.95), max(*values, 1.05)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _ends(axes: Any, courses: list[Course]) -> None:
    """Sustained over burst right of the axes, its interval as a line, in its course's colour."""
    to_units, back = axes.transData.transform, axes.transData.inverted().transform
    edge, frame = axes.get_window_extent().x1, axes.get_window_extent()
    known = [(course, course.ratio) for course in courses if course.ratio is not None]
    ends = [float(to_units((0, factor.value))[1]) for _, factor in known]
    heights = _within(ends, frame.y0, frame.y1) if ends else []
    for i, ((course, factor), y) in enumerate(zip(known, heights, strict=True)):
        color, x = paint(course.look.paint), float(back((edge + 5 + 3.5 * i, 0))[0])
        if factor.low is not None and factor.high is not None:
            axes.plot([x, x], [factor.low, factor.high], color=color, linewidth=2, clip_on=False)
        place = back((edge + 8 + 3.5 * len(known), y))
        style = {"va": "center", "color": color, "fontsize": FONT}
        axes.text(*place, ratio(factor).text, **style)


def _within(wanted: list[float], low: float, high: float) -> list[float]:
    """Heights of the names: a line apart, none above or below the axes."""
    found = spread(wanted, FONT + 4)
    shift = min(0.0, high - max(found)) or max(0.0, low - min(found))
    return [y + shift for y in found]
