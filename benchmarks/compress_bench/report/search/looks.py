"""How candidates look in the figures of a search, and the legend that says so."""

from collections.abc import Mapping, Sequence

from compress_bench.report.legend import Entry
from compress_bench.report.scatter import Point
from compress_bench.report.series import Series

WINNER = Series("series-4", "*", "-")
WHOLE = Series("series-3", "o", "-")
PARTLY = Series("muted", "o", "-", filled=False)
FAILED = Series("muted", "X", "-", filled=False)
UNSURE = Series("series-2", "D", "-", filled=False)
UNNAMED = "Names for which there is no room are in the table."


def legend(
    points: Sequence[Point], texts: Mapping[Series, str], *, goals: bool, front: bool = False
) -> tuple[Entry, ...]:
    """What stands in the figure, and nothing else; the winner by its name.

    Args:
        points: what is drawn.
        texts: what each look means, but for the winner's.
        goals: whether a goal is drawn.
        front: whether the front is.
    """
    # The winner's name stands here because it may have no room at its point.
    won = {p.series: f"{p.name}, the winner" for p in points if p.series is WINNER}
    used = {point.series for point in points}
    found = [
        Entry(text, look.marker, look.paint, filled=look.filled)
        for look, text in {**won, **texts}.items()
        if look in used
    ]
    found += [Entry("front", "_", "series-3")] if front else []
    return (*found, *([Entry("goal", "_", "fail")] if goals else []))


def large(points: Sequence[Point]) -> tuple[str, ...]:
    """Names of the points with a large marker: the winner."""
    return tuple(point.name for point in points if point.series is WINNER)


def joined(*sentences: str) -> str:
    """Those that are not empty, as one text."""
    return " ".join(sentence for sentence in sentences if sentence)
