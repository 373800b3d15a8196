"""Accuracy against p50 latency."""

from compress_bench.report import facts
from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import percent, seconds, short_seconds
from compress_bench.report.front import front_of, front_words
from compress_bench.report.scatter import Point, draw_scatter, points_of

POSITION = 10


def applies(report: Report) -> bool:
    """Whether any variant has both an accuracy and a latency."""
    return bool(_points(report))


def draw(report: Report) -> Drawing:
    """One point a variant, error bars where the bounds are known."""
    points = _points(report)
    spoken = (f"{p.name} {percent(p.accuracy).text} at {seconds(p.cost).text}" for p in points)
    return Drawing(
        figure=draw_scatter(points, "p50 latency, logarithmic", short_seconds, front_of(points)),
        title="Accuracy against latency",
        caption="Up and to the left is better. Bars are the table's intervals; "
        "points at one place are set slightly apart. " + front_words(points),
        label=f"Test accuracy against p50 latency: {'; '.join(spoken)}.",
    )


def _points(report: Report) -> list[Point]:
    return points_of(report, lambda name: facts.latency(report, name))
