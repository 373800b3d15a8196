"""Accuracy against file size."""

from compress_bench.report import facts
from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate, percent, short_size, size
from compress_bench.report.front import front_of, front_words
from compress_bench.report.scatter import Point, draw_scatter, points_of

POSITION = 20


def applies(report: Report) -> bool:
    """Whether any variant has both an accuracy and a file size."""
    return bool(_points(report))


def draw(report: Report) -> Drawing:
    """One point a variant; a size is exact, so only accuracy has a bar."""
    points = _points(report)
    spoken = (f"{p.name} {percent(p.accuracy).text} at {size(p.cost.value)}" for p in points)
    return Drawing(
        figure=draw_scatter(points, "File size, logarithmic", short_size, front_of(points)),
        title="Accuracy against size",
        caption="Up and to the left is better. Bars are accuracy's intervals; "
        "points of one size are set slightly apart. " + front_words(points),
        label=f"Test accuracy against file size: {'; '.join(spoken)}.",
    )


def _points(report: Report) -> list[Point]:
    def cost(name: str) -> Estimate | None:
        found = facts.number(facts.variants(report), name, "size_bytes")
        is_known = name in facts.again(report)  # the same file, once more
        return None if is_known or found is None else Estimate(found)

    return points_of(report, cost)
