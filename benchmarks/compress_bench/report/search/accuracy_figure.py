"""Accuracy against a cost: every candidate that was trained at all, with goals and teacher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compress_bench.report.canvas import Drawing
from compress_bench.report.format import (
    Estimate,
    percent,
    seconds,
    short_seconds,
    short_size,
    size,
)
from compress_bench.report.front import front_of
from compress_bench.report.scatter import Point
from compress_bench.report.search import reading
from compress_bench.report.search.limits import Measure, far_words, goal_lines, within_reach
from compress_bench.report.search.looks import (
    PARTLY,
    UNNAMED,
    WHOLE,
    WINNER,
    joined,
    large,
    legend,
)
from compress_bench.report.search.plane import Level, Plane, Shown, draw_plane
from compress_bench.report.search.reading import Content, Tried
from compress_bench.report.series import Series

_MANY = 6  # points, above which some names may have no room
_DEPTH = 5.0  # heights of the finished ones' range that are shown below it
_TEXTS = {WHOLE: "candidate, as deployed", PARTLY: "stopped, float32"}


@dataclass(frozen=True)
class Cost:
    """A horizontal axis: what it is, and how its values are read and written."""

    measure: Measure
    title: str
    across: str
    of: Callable[[Tried], Estimate | None]
    tick: Callable[[float], str]
    spoken: Callable[[Estimate], str]


def _latency(tried: Tried) -> Estimate | None:
    found = tried.latency
    return found if found is not None and found.value > 0 else None


def _size(tried: Tried) -> Estimate | None:
    return Estimate(tried.size_bytes) if tried.size_bytes else None


COSTS = (
    Cost("latency", "Accuracy against latency", "p50 latency, logarithmic", _latency,
         short_seconds, lambda found: seconds(found).text),
    Cost("size", "Accuracy against size", "File size, logarithmic", _size,
         short_size, lambda found: size(found.value)),
)  # fmt: skip


def accuracy_against(content: Content, cost: Cost) -> Drawing | None:
    """The figure of one cost; None where nothing was trained, or nothing has that cost."""
    points = _trained_points(content, cost)
    if not points:
        return None
    lines, level = goal_lines(content, "accuracy"), _level(content)
    heights = [line.value for line in lines] + ([level.estimate.value] if level else [])
    points, below = _readable(points, heights)
    costs = [point.cost.value for point in points]
    near, far = within_reach(goal_lines(content, cost.measure), costs)
    whole = [point for point in points if point.series in (WHOLE, WINNER)]
    front = front_of(whole) if len(whole) > 1 else []
    shown = Shown(
        points=points,
        large=large(points),
        front=front,
        across=near,
        upward=lines,
        level=level,
        steps=5,
    )
    plane = Plane(
        across=cost.across,
        upward="Validation accuracy",
        tick=cost.tick,
        upward_tick=lambda value: f"{value * 100:.4g} %",
        legend=legend(points, _TEXTS, goals=bool(near or lines), front=bool(front)),
    )
    spoken = (f"{p.name} {percent(p.accuracy).text} at {cost.spoken(p.cost)}" for p in points)
    return Drawing(
        figure=draw_plane(plane, shown),
        title=cost.title,
        caption=joined(
            _caption(points, front, below), _teacher_words(content, cost), far_words(far, costs)
        ),
        label=f"Validation accuracy of candidates: {'; '.join(spoken)}.",
    )


def _trained_points(content: Content, cost: Cost) -> list[Point]:
    """The most important first, since they are named first."""
    every = [tried for tried in reading.candidates(content) if tried.shown_accuracy]
    every.sort(key=lambda t: (not t.won, not t.on_front, t.accuracy is None, -_value(t)))
    points = [_point(tried, _look(tried), cost) for tried in every]
    return [point for point in points if point is not None]


def _level(content: Content) -> Level | None:
    """The teacher's accuracy: it lies too far to the right to be a point among the students."""
    teacher = reading.teacher(content)
    if teacher is None or teacher.accuracy is None:
        return None
    return Level(teacher.accuracy, f"teacher {percent(teacher.accuracy).text}")


def _teacher_words(content: Content, cost: Cost) -> str:
    """What the teacher costs, where its accuracy is drawn."""
    teacher = reading.teacher(content)
    paid = None if teacher is None else cost.of(teacher)
    if teacher is None or teacher.accuracy is None:
        return ""
    at = "" if paid is None else f", which takes {cost.spoken(paid)}"
    return f"The dotted line is the teacher{at}; the band is its interval."


def _value(tried: Tried) -> float:
    return tried.shown_accuracy.value if tried.shown_accuracy else 0.0


def _look(tried: Tried) -> Series:
    if tried.won:
        return WINNER
    return PARTLY if tried.accuracy is None else WHOLE


def _point(tried: Tried, look: Series, cost: Cost) -> Point | None:
    paid, accuracy = cost.of(tried), tried.shown_accuracy
    if paid is None or accuracy is None:
        return None
    epochs = f" {tried.epochs}/{tried.planned}" if look is PARTLY and tried.planned else ""
    return Point(tried.name + epochs, paid, accuracy, look)


def _readable(points: list[Point], heights: Sequence[float]) -> tuple[list[Point], int]:
    """The points without those so far below that the others could not be told apart, counted."""
    whole = [point.accuracy.value for point in points if point.series is not PARTLY]
    wanted = [*whole, *heights]
    if not any(point.series in (WHOLE, WINNER) for point in points):
        return points, 0
    floor = min(wanted) - _DEPTH * max(max(wanted) - min(wanted), 0.02)
    kept = [point for point in points if point.accuracy.value >= floor]
    return kept, len(points) - len(kept)


def _caption(points: Sequence[Point], front: Sequence[Point], below: int) -> str:
    said = ["Up and to the left is better; bars are 95 % intervals on the validation images."]
    if any(point.series is PARTLY for point in points):
        said.append("Hollow: the float32 student where it was stopped, the epochs behind its name.")
    if front:
        said.append("The line of steps is the front: no finished candidate beats one on it.")
    if below:
        said.append(f"{below} stopped far below {'is' if below == 1 else 'are'} not drawn.")
    if len(points) > _MANY:
        said.append(UNNAMED)
    return " ".join(said)
