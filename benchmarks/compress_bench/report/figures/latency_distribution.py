"""How the single inferences spread: body, tail, percentiles and their intervals."""

from typing import Any

import numpy as np

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
from compress_bench.report.format import Estimate, count, seconds, short_seconds
from compress_bench.report.labels import spread as apart
from compress_bench.report.legend import Entry, draw_legend, legend_height, units_of
from compress_bench.report.spreads import Samples, Spread, reach, spreads_of
from compress_bench.report.ticks import inner_ticks, round_ticks

POSITION = 22

_NAME, _BARS, _MARKS, _TICKS, _GAP = 18.0, 40.0, 22.0, 18.0, 14.0
_ROW = _NAME + _BARS + _MARKS + _TICKS + _GAP
_LEFT, _RIGHT = 10.0, 14.0
_BINS = 60
_DOTS, _NAMES = -0.13, -0.40  # below the bars, which are 1 high
_BARS_ABOVE = 0.95  # from there to where percentiles beyond the axis are named


def applies(report: Report) -> bool:
    """Whether any variant's single inferences were kept."""
    return bool(spreads_of(report))


def draw(report: Report) -> Drawing:
    """A row a variant; all rows span the same factor, so that equal widths are equal spreads."""
    found = spreads_of(report)
    low, high = reach(found)
    beyond = [
        f"{count(spread.beyond(high))} of {count(spread.n)} of {spread.name}"
        for spread in found
        if spread.beyond(high)
    ]
    said = (
        f"{spread.name} " + ", ".join(f"{k} {seconds(v).full}" for k, v in spread.marks.items())
        for spread in found
    )
    control = " The grey line is the reference's copy: as two equal models differ here."
    return Drawing(
        figure=_rows(found, low, high),
        title="Single inferences",
        caption="Bars: how many inferences took how long, on logarithmic axes that all span the "
        "same factor. Below them p50, p90 and p99 with their intervals."
        + (control if any(spread.copy.size for spread in found) else "")
        + (f" Further right than shown: {', '.join(beyond)}." if beyond else ""),
        label=f"Distribution of latency: {'; '.join(said)}.",
    )


def _rows(found: list[Spread], low: float, high: float) -> Any:
    has_copy = any(spread.copy.size for spread in found)
    legend = [Entry("A/A copy of the reference", "_")] if has_copy else []
    top = legend_height(legend)
    total = top + _ROW * len(found) + FONT
    figure = new_figure(total)
    draw_legend(figure, legend)
    page = units_of(figure)
    ink = {"color": paint("ink"), "fontsize": FONT}
    for spread in found:
        bottom = total - top - _ROW + _TICKS + _GAP
        axes = new_axes(figure, (_LEFT, bottom, _RIGHT, top + _NAME))
        page.text(_LEFT, top + 10, abridged(spread.name, 30), va="center", **ink)
        text = f"n = {count(spread.n)}"
        page.text(WIDTH - _RIGHT, top + 10, text, va="center", ha="right", **ink)
        _row(axes, spread, low, high)
        top += _ROW
    page.text(WIDTH - _RIGHT, total - 3, "Time of one inference, logarithmic", ha="right", **ink)
    return figure


def _row(axes: Any, spread: Spread, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    left, right = spread.center * low, spread.center * high
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(-_MARKS / _BARS, 1.05)  # bars above zero, marks below
    axes.set_xticks(round_ticks(left, right, most=5))
    axes.set_xticks(inner_ticks(axes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_seconds(value)))
    axes.yaxis.set_visible(False)
    color = paint(spread.look.paint)
    edges = np.geomspace(left, right, _BINS + 1)
    heights, copy = (_shares(samples, edges) for samples in (spread.samples, spread.copy))
    most = max(heights.max(), copy.max()) or 1.0
    bars: dict[str, Any] = {"facecolor": color, "alpha": 0.45, "linewidth": 0, "fill": True}
    axes.stairs(heights / most, edges, **bars)
    if spread.copy.size:
        axes.stairs(copy / most, edges, color=paint("muted"), linewidth=1)
    axes.axhline(0, color=paint("line"), linewidth=0.8)
    _marks(axes, spread, color)


def _shares(samples: Samples, edges: Samples) -> Samples:
    """Share of the samples in each bin; those outside of all bins are in none."""
    counts = np.histogram(samples, edges)[0]
    return np.asarray(counts / max(samples.size, 1), dtype=np.float64)


def _marks(axes: Any, spread: Spread, color: str) -> None:
    """Each percentile as a dot with its interval, its name below."""
    for estimate in spread.marks.values():
        axes.plot(_ends(estimate), [_DOTS] * 2, color=color, linewidth=2, solid_capstyle="round")
        dot: dict[str, Any] = {"markersize": 5, "markeredgecolor": paint("surface"), "zorder": 3}
        axes.plot([estimate.value], [_DOTS], "o", color=color, **dot)
    end = axes.get_xlim()[1]
    inside = {name: mark.value for name, mark in spread.marks.items() if mark.value <= end}
    beyond = {name: mark for name, mark in spread.marks.items() if name not in inside}
    style = {"va": "center", "color": paint("muted"), "fontsize": FONT - 1}
    to_units, back = axes.transData.transform, axes.transData.inverted().transform
    wanted = [float(to_units((value, 0))[0]) for value in inside.values()]
    frame = axes.get_window_extent()
    for name, x in zip(inside, apart(wanted, 25.0), strict=True):
        place = min(max(x, frame.x0 + 8), frame.x1 - 10)
        axes.text(float(back((place, 0))[0]), _NAMES, name, ha="center", **style)
    if beyond:
        said = ", ".join(f"{name} {seconds(mark).text}" for name, mark in beyond.items())
        across = axes.get_yaxis_transform()
        text = f"{said} \N{RIGHTWARDS ARROW}"
        axes.text(1, _NAMES + _BARS_ABOVE, text, ha="right", transform=across, **style)


def _ends(estimate: Estimate) -> list[float]:
    low = estimate.value if estimate.low is None else estimate.low
    return [low, estimate.value if estimate.high is None else estimate.high]
