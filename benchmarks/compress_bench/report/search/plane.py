"""Candidates in a plane: two measures, goals as lines, the front as steps, names where room is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from compress_bench.report.canvas import (
    FONT,
    axis_titles,
    ground,
    new_axes,
    new_figure,
    paint,
    shortened,
)
from compress_bench.report.format import Estimate
from compress_bench.report.labels import Box, overlap, place_where_free
from compress_bench.report.legend import Entry, draw_legend, legend_height
from compress_bench.report.scatter import Point, bounds, draw_point, obstacles_of
from compress_bench.report.search.limits import GoalLine
from compress_bench.report.ticks import inner_ticks, round_ticks

_HEIGHT = 320.0
_LEFT, _BOTTOM, _RIGHT, _TOP = 46.0, 40.0, 10.0, 28.0
_LETTERS = 24
_ROOM = 0.1  # of an axis, around what it shows


@dataclass(frozen=True, kw_only=True)
class Plane:
    """How a figure is laid out.

    Attributes:
        across: title of the horizontal axis, which is logarithmic.
        upward: title of the vertical axis.
        tick: a value of the horizontal axis as a short text.
        upward_tick: of the vertical axis.
        upward_log: whether that is logarithmic too.
        legend: what the marks mean.
    """

    across: str
    upward: str
    tick: Callable[[float], str]
    upward_tick: Callable[[float], str]
    upward_log: bool = False
    legend: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Level:
    """A height that points are held against: a value with its bounds, and what it is."""

    estimate: Estimate
    text: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is drawn.

    Attributes:
        points: at least one; those first are named first where not all names have room.
        large: names of points with a large marker.
        front: costs and values of the front, cheapest first; a line of steps where several.
        across: goals on the horizontal axis.
        upward: goals on the vertical axis.
        level: the teacher's height and its name, with a band for its interval.
        steps: that a name may stand away from its point.
        unnamed: names of points that get none.
    """

    points: Sequence[Point]
    large: tuple[str, ...] = ()
    front: Sequence[Point] = ()
    across: Sequence[GoalLine] = ()
    upward: Sequence[GoalLine] = ()
    level: Level | None = None
    steps: int = 9
    unnamed: frozenset[str] = frozenset()


def draw_plane(plane: Plane, shown: Shown) -> Any:
    """The figure."""
    top = legend_height(plane.legend)
    figure = new_figure(_HEIGHT + top)
    draw_legend(figure, plane.legend)
    axes = new_axes(figure, (_LEFT, _BOTTOM, _RIGHT, _TOP + top))
    _scale_across(axes, plane, shown)
    _scale_upward(axes, plane, shown)
    _draw_front(axes, shown)
    for point in reversed(shown.points):  # the most important on top
        draw_point(axes, point, 13 if point.name in shown.large else 7)
    taken = [box for point in shown.points for box in obstacles_of(axes, point)]
    taken += _draw_level(axes, shown, taken)
    taken += _draw_goals(axes, shown, taken)
    _draw_names(axes, shown, taken)
    axis_titles(axes, plane.across, plane.upward)
    return figure


def _scale_across(axes: Any, plane: Plane, shown: Shown) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    costs = [bound for point in shown.points for bound in bounds(point.cost)]
    costs = [cost for cost in costs if cost > 0] + [line.value for line in shown.across]
    low, high = _wider(min(costs), max(costs))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(round_ticks(low, high, 5))
    axes.set_xticks(inner_ticks(axes, 0.05))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plane.tick(value)))


def _wider(low: float, high: float) -> tuple[float, float]:
    """Logarithmic limits with room at both ends."""
    factor = max((high / low) ** _ROOM, 1.25)
    return low / factor, high * factor


def _scale_upward(axes: Any, plane: Plane, shown: Shown) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    values = [bound for point in shown.points for bound in bounds(point.accuracy)]
    values += [line.value for line in shown.upward]
    values += [] if shown.level is None else bounds(shown.level.estimate)
    if plane.upward_log:
        low, high = _wider(min(values), max(values))
        axes.set_yscale("log")
        axes.set_yticks(round_ticks(low, high))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        room = _ROOM * max(max(values) - min(values), 0.02)
        low, high = min(values) - room, max(values) + room
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plane.upward_tick(value)))


def _draw_front(axes: Any, shown: Shown) -> None:
    """From each point level to the next one's cost, then up; the last one goes on to the edge."""
    if not shown.front:
        return
    costs = [point.cost.value for point in shown.front] + [axes.get_xlim()[1]]
    values = [point.accuracy.value for point in shown.front]
    style = {"color": paint("series-3"), "linewidth": 1.2, "zorder": 1, "alpha": 0.8}
    axes.step(costs, [*values, values[-1]], where="post", **style)


def _draw_level(axes: Any, shown: Shown, taken: Sequence[Box]) -> list[Box]:
    """A dotted line and its band; the box of its words."""
    if shown.level is None:
        return []
    value, (low, high) = shown.level.estimate.value, bounds(shown.level.estimate)
    axes.axhspan(low, high, color=paint("series-1"), alpha=0.1, linewidth=0, zorder=0)
    style: dict[str, Any] = {"linewidth": 1.2, "linestyle": (0, (1, 2)), "zorder": 1}
    axes.axhline(value, color=paint("series-1"), **style)
    return [_write_beside_level(axes, value, shown.level.text, "series-1", taken)]


def _draw_goals(axes: Any, shown: Shown, taken: Sequence[Box]) -> list[Box]:
    """Dashed lines with their words; the boxes of these."""
    style: dict[str, Any] = {"color": paint("fail"), "linewidth": 1.2, "linestyle": (0, (4, 2))}
    found: list[Box] = []
    for line in shown.upward:
        axes.axhline(line.value, zorder=1, **style)
        blocked = [*taken, *found]
        found.append(_write_beside_level(axes, line.value, line.text, "fail", blocked))
    for line in shown.across:
        axes.axvline(line.value, zorder=1, **style)
        found.append(_write_beside_wall(axes, line, [*taken, *found]))
    return found


def _write_beside_level(
    axes: Any, value: float, text: str, color: str, taken: Sequence[Box]
) -> Box:
    """Words above or below a level line, at the end where they cover least."""
    frame = axes.get_window_extent()
    y = float(axes.transData.transform((axes.get_xlim()[0], value))[1])
    places = [
        (x, height, align)
        for height in (y + 8, y - 8)
        for x, align in ((frame.x1 - 3, "right"), (frame.x0 + 3, "left"))
    ]
    return _write_best(axes, text, color, places, taken)


def _write_beside_wall(axes: Any, line: GoalLine, taken: Sequence[Box]) -> Box:
    """Words left or right of an upright line, at the height where they cover least."""
    frame = axes.get_window_extent()
    x = float(axes.transData.transform((line.value, axes.get_ylim()[0]))[0])
    heights = [frame.y0 + 8, frame.y1 - 8, *(frame.y0 + 8 + 14 * i for i in range(1, 14))]
    places = [
        (place, height, align)
        for height in heights
        for place, align in ((x + 4, "left"), (x - 4, "right"))
    ]
    return _write_best(axes, line.text, "fail", places, taken)


def _write_best(
    axes: Any,
    text: str,
    color: str,
    places: Sequence[tuple[float, float, str]],
    taken: Sequence[Box],
) -> Box:
    """Words at the first place, in units of the figure, that covers least; returns their box."""
    style: dict[str, Any] = {"fontsize": FONT - 1, "color": paint(color), "va": "center"}
    written = axes.text(0, 0, text, bbox=ground(), zorder=2, **style)
    size = written.get_window_extent()
    frame = tuple(axes.get_window_extent().extents)
    boxes = []
    for x, y, align in places:
        left = x if align == "left" else x - size.width
        boxes.append((left, y - size.height / 2, left + size.width, y + size.height / 2))
    area = size.width * size.height
    costs = [
        sum(overlap(box, other) for other in taken) + 10 * (area - overlap(box, frame))
        for box in boxes
    ]
    best = costs.index(min(costs))
    x, y, align = places[best]
    written.set(position=axes.transData.inverted().transform((x, y)), ha=align)
    return boxes[best]


def _draw_names(axes: Any, shown: Shown, taken: Sequence[Box]) -> None:
    """Names beside their points, of as many as have room."""
    style: dict[str, Any] = {"fontsize": FONT, "color": paint("ink"), "va": "center", "zorder": 4}
    style |= {"bbox": ground()}
    named = [p for p in shown.points if p.name not in shown.unnamed]
    texts = [axes.text(0, 0, shortened(p.name, _LETTERS), **style) for p in named]
    sizes = [(box.width, box.height + 1) for box in (text.get_window_extent() for text in texts)]
    to_units, back = axes.transData.transform, axes.transData.inverted().transform
    anchors = [tuple(to_units((p.cost.value, p.accuracy.value))) for p in named]
    frame = tuple(axes.get_window_extent().extents)
    places = place_where_free(anchors, sizes, taken, frame, shown.steps)
    for text, place, anchor in zip(texts, places, anchors, strict=True):
        if place is None:
            text.remove()
            continue
        text.set(ha=place.align, position=back((place.x, place.y)))
        if place.moved:
            ends = back([anchor, (place.x - (2 if place.align == "left" else -2), place.y)])
            axes.plot(ends[:, 0], ends[:, 1], color=paint("muted"), linewidth=0.7, zorder=1)
