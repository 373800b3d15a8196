"""From an empty process to the first answer, phase by phase."""

from typing import Any

from compress_bench.report import facts
from compress_bench.report.canvas import (
    FONT,
    WIDTH,
    Drawing,
    abridged,
    new_axes,
    new_figure,
    paint,
)
from compress_bench.report.facts import Report
from compress_bench.report.format import seconds, short_seconds
from compress_bench.report.legend import Entry, draw_legend, legend_height, units_of
from compress_bench.report.starts import Start, starts_of

POSITION = 26

_ROW, _BAR = 38.0, 13.0
# Shades of one colour, as a phase is no variant: strong where the model itself begins.
_SHADES = (0.14, 0.3, 0.46, 0.72, 1.0)


def applies(report: Report) -> bool:
    """Whether any start was measured in its phases."""
    return bool(starts_of(report))


def draw(report: Report) -> Drawing:
    """A stacked bar a variant, with the fastest and the slowest process."""
    found = starts_of(report)
    said = (
        (f"{name} {seconds(start.total).full}" for name, start in found.items() if start.total)
        if any(start.total for start in found.values())
        else iter(found)
    )
    begins = all("Python" in start.phases for start in found.values())
    return Drawing(
        figure=_bars(found),
        title="Cold start",
        caption="Medians of each phase over fresh processes, files in the system's cache. "
        + _line_words(report, found)
        + (
            "" if begins else " This system does not tell when a process began: Python is left out."
        ),
        label=f"Time from an empty process to the first answer: {'; '.join(said)}.",
    )


def _line_words(report: Report, found: dict[str, Start]) -> str:
    """What dot and thin line are."""
    totals = [start.total for start in found.values() if start.total is not None]
    if any(start.is_range for start in found.values()):
        return (
            "The thin line spans the fastest and the slowest process from start to first answer, "
            "the dot their median."
        )
    if all(total.low is None for total in totals):
        return "The dot is the time from start to first answer." if totals else ""
    return (
        "The dot is the time from start to first answer, the thin line its "
        f"{facts.confidence(report) * 100:g} % interval."
    )


def _bars(found: dict[str, Start]) -> Any:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    phases = tuple(dict.fromkeys(phase for start in found.values() for phase in start.phases))
    shades = dict(zip(phases, _SHADES[-len(phases) :], strict=False))
    legend = [Entry(phase, "s", "heat", alpha=shade) for phase, shade in shades.items()]
    top = legend_height(legend)
    figure = new_figure(top + _ROW * len(found) + 40)
    draw_legend(figure, legend)
    axes = new_axes(figure, (10.0, 40.0, 16.0, top))
    axes.set_ylim(_ROW * len(found), 0)
    axes.yaxis.set_visible(False)
    for i, (name, start) in enumerate(found.items()):
        _bar(axes, name, start, shades, _ROW * i)
    axes.set_xlim(0, 1.04 * max(start.end for start in found.values()))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_seconds(value)))
    ink = {"color": paint("ink"), "fontsize": FONT}
    height = figure.get_figheight() * 72
    units_of(figure).text(WIDTH - 16, height - 6, "Until the first answer", ha="right", **ink)
    return figure


def _bar(axes: Any, name: str, start: Start, shades: dict[str, float], y: float) -> None:
    across = axes.get_yaxis_transform()
    ink = {"color": paint("ink"), "fontsize": FONT}
    axes.text(0, y + 10, abridged(name, 38), va="center", transform=across, **ink)
    left, middle = 0.0, y + 17 + _BAR / 2
    for phase, length in start.phases.items():
        style: dict[str, Any] = {"linewidth": 0.8, "edgecolor": paint("surface")}
        shade = {"facecolor": paint("heat"), "alpha": shades[phase]}
        axes.barh(middle, length, left=left, height=_BAR, zorder=2, **style, **shade)
        left += length
    if start.total is None:
        return
    line: dict[str, Any] = {"color": paint("ink"), "zorder": 3}
    if start.total.low is not None and start.total.high is not None:
        across_bounds = [start.total.low, start.total.high]
        axes.plot(across_bounds, [middle + 11] * 2, linewidth=1.6, solid_capstyle="round", **line)
    axes.plot([start.total.value], [middle + 11], "o", markersize=5, **line)
