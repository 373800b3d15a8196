"""Accuracy against a cost on a logarithmic axis, with intervals and direct labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress_bench.report import facts
from compress_bench.report.canvas import FONT, axis_titles, new_axes, new_figure, paint, shortened
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate
from compress_bench.report.labels import Box, place_beside, spread
from compress_bench.report.series import Series, by_variant
from compress_bench.report.ticks import round_ticks

_HEIGHT = 290.0
_APART = 9.0  # units between two bars that would cover each other
_MARGINS = (42.0, 40.0, 10.0, 30.0)


@dataclass(frozen=True)
class Point:
    """A variant in the plane.

    Attributes:
        name: as goals call it.
        cost: seconds or bytes, with bounds where it has them.
        accuracy: a fraction, with bounds.
        series: how it looks.
    """

    name: str
    cost: Estimate
    accuracy: Estimate
    series: Series


def points_of(report: Report, cost: Callable[[str], Estimate | None]) -> list[Point]:
    """The variants that have both an accuracy and a positive cost."""
    looks = by_variant(report)
    found = []
    for name, fields in facts.variants(report).items():
        accuracy, paid = facts.estimate(fields, "accuracy"), cost(name)
        if accuracy is not None and paid is not None and paid.value > 0:
            found.append(Point(name, paid, accuracy, looks[name]))
    return found


def draw_scatter(
    points: list[Point],
    title: str,
    tick: Callable[[float], str],
    front: Sequence[Point] = (),
) -> Any:
    """A figure of `points`.

    Args:
        points: at least one.
        title: of the horizontal axis.
        tick: a cost as a short text.
        front: those of the points that a line joins.
    """
    figure = new_figure(_HEIGHT + 15 * max(len(points) - 4, 0))
    axes = new_axes(figure, _MARGINS)
    _scale(axes, points, tick)
    points = _apart(axes, points)
    _draw_front(axes, points, [point.name for point in front])
    for point in points:
        draw_point(axes, point)
    _draw_names(axes, points)
    axis_titles(axes, title, "Test accuracy")
    return figure


def _scale(axes: Any, points: list[Point], tick: Callable[[float], str]) -> None:
    """A logarithmic axis with few, round ticks, and room around the points."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    costs = [point.cost.value for point in points]
    low, high = min(costs) / 1.6, max(costs) * 1.6
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(round_ticks(low, high))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    accuracies = [bound for point in points for bound in bounds(point.accuracy)]
    room = 0.12 * max(max(accuracies) - min(accuracies), 0.02)
    axes.set_ylim(min(accuracies) - room, max(accuracies) + room)
    axes.yaxis.get_major_locator().set_params(nbins=6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.4g} %"))


def _apart(axes: Any, points: list[Point]) -> list[Point]:
    """Points with almost one cost set apart sideways, so that no bar hides another."""
    to_units, back = axes.transData.transform, axes.transData.inverted().transform
    found = [to_units((point.cost.value, point.accuracy.value)) for point in points]
    wanted = [float(x) for x, _ in found]
    moved = []
    for point, (x, y), new_x in zip(points, found, spread(wanted, _APART), strict=True):
        factor = float(back((new_x, y))[0]) / float(back((x, y))[0])
        low, high = bounds(point.cost)
        cost = Estimate(point.cost.value * factor, low * factor, high * factor)
        moved.append(replace(point, cost=cost))
    return moved


def bounds(estimate: Estimate) -> tuple[float, float]:
    """Lower and upper bound; the value itself where there is none."""
    low = estimate.value if estimate.low is None else estimate.low
    return low, estimate.value if estimate.high is None else estimate.high


def _draw_front(axes: Any, points: list[Point], names: list[str]) -> None:
    """A line through the named points, behind all else."""
    on_it = sorted((p for p in points if p.name in names), key=lambda p: p.cost.value)
    if len(on_it) < 2:
        return
    costs, accuracies = [p.cost.value for p in on_it], [p.accuracy.value for p in on_it]
    style: Mapping[str, Any] = {"color": paint("muted"), "linestyle": (0, (1, 2.5)), "zorder": 1}
    axes.plot(costs, accuracies, linewidth=1.4, **style)


def draw_point(axes: Any, point: Point, size: float = 8) -> None:
    """The marker of `size` units, and both intervals."""
    color = paint(point.series.paint)
    (left, right), (low, high) = bounds(point.cost), bounds(point.accuracy)
    across, along = [point.cost.value] * 2, [point.accuracy.value] * 2
    axes.plot(across, [low, high], color=color, linewidth=1.6, solid_capstyle="round")
    axes.plot([left, right], along, color=color, linewidth=1.6, solid_capstyle="round")
    edge = paint("surface") if point.series.filled else color
    style: Mapping[str, Any] = {"markersize": size, "markeredgecolor": edge, "zorder": 3}
    face = paint(point.series.face)
    axes.plot(across[:1], along[:1], point.series.marker, markerfacecolor=face, **style)


def _draw_names(axes: Any, points: list[Point]) -> None:
    """Names beside their points, in the ink of the page."""
    texts = [
        axes.text(0, 0, shortened(p.name, 22), fontsize=FONT, color=paint("ink")) for p in points
    ]
    sizes = [(box.width, box.height + 1) for box in (text.get_window_extent() for text in texts)]
    obstacles: list[Box] = [box for point in points for box in obstacles_of(axes, point)]
    frame = axes.get_window_extent().extents
    to_units = axes.transData.transform
    anchors = [tuple(to_units((p.cost.value, p.accuracy.value))) for p in points]
    places = place_beside(anchors, sizes, obstacles, tuple(frame))
    back = axes.transData.inverted().transform
    for text, place, anchor, point in zip(texts, places, anchors, points, strict=True):
        text.set(ha=place.align, va="center", position=back((place.x, place.y)))
        if place.moved:
            line = [anchor, (place.x - (2 if place.align == "left" else -2), place.y)]
            ends = back(line)
            color = paint(point.series.paint)
            axes.plot(ends[:, 0], ends[:, 1], color=color, linewidth=0.8, zorder=1)


def obstacles_of(axes: Any, point: Point) -> list[Box]:
    """The marker and the two bars, with a little air, in units of the figure."""
    (left, right), (low, high) = bounds(point.cost), bounds(point.accuracy)
    x, y = axes.transData.transform((point.cost.value, point.accuracy.value))
    x0, y0 = axes.transData.transform((left, low))
    x1, y1 = axes.transData.transform((right, high))
    return [(x - 5, y - 5, x + 5, y + 5), (x - 2, y0, x + 2, y1), (x0, y - 2, x1, y + 2)]
