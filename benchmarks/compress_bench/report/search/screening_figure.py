"""Size against latency of every candidate: what is known before any training."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.format import Estimate, short_seconds, short_size
from compress_bench.report.scatter import Point
from compress_bench.report.search import reading
from compress_bench.report.search.limits import far_words, goal_lines, within_reach
from compress_bench.report.search.looks import (
    FAILED,
    PARTLY,
    UNNAMED,
    UNSURE,
    WHOLE,
    WINNER,
    joined,
    large,
    legend,
)
from compress_bench.report.search.plane import Plane, Shown, draw_plane
from compress_bench.report.search.reading import Content, Tried

_SCREENED = {"pass": WHOLE, "inconclusive": UNSURE, "fail": FAILED}
_TEXTS = {
    WHOLE: "may meet the goals",
    UNSURE: "undecided",
    PARTLY: "no verdict yet",
    FAILED: "cannot meet them",
}


def screening(content: Content) -> Drawing | None:
    """The figure; None where fewer than two candidates have both numbers."""
    every = sorted(reading.candidates(content), key=_promise)
    points = [point for tried in every if (point := _point(tried)) is not None]
    if len(points) < 2:
        return None
    costs, sizes = [p.cost.value for p in points], [p.accuracy.value for p in points]
    near, far = within_reach(goal_lines(content, "latency"), costs)
    above, beyond = within_reach(goal_lines(content, "size"), sizes)
    plane = Plane(
        across="p50 latency, logarithmic",
        upward="File size, logarithmic",
        tick=short_seconds,
        upward_tick=short_size,
        upward_log=True,
        legend=legend(points, _TEXTS, goals=bool(near or above)),
    )
    shown = Shown(
        points=points,
        large=large(points),
        across=near,
        upward=above,
        steps=3,
        unnamed=frozenset(point.name for point in points if point.series is FAILED),
    )
    promising = [point.name for point in points if point.series is not FAILED]
    return Drawing(
        figure=draw_plane(plane, shown),
        title="Every candidate before training",
        caption=joined(
            "Down and to the left is better. Neither value depends on the weights.",
            UNNAMED,
            far_words(far, costs),
            *(f"The goal, {line.text}, lies outside." for line in beyond),
        ),
        label=f"File size against p50 latency of {len(points)} candidates; "
        f"{len(promising)} may meet the goals: {', '.join(promising) or 'none'}.",
    )


def _promise(tried: Tried) -> tuple[bool, bool, float]:
    """The most promising first, since they are named first."""
    return not tried.won, tried.screened == "fail", tried.untrained_bytes or 0.0


def _point(tried: Tried) -> Point | None:
    latency, size_bytes = tried.untrained_latency, tried.untrained_bytes
    if latency is None or latency.value <= 0 or not size_bytes:
        return None
    look = WINNER if tried.won else _SCREENED.get(tried.screened, PARTLY)
    return Point(tried.name, latency, Estimate(size_bytes), look)
