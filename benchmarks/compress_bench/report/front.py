"""The Pareto front of two measures: which variants no other one beats in both.

A front of point estimates claims more than was measured. So the line runs through the values, and
the words below it say of whom the intervals themselves show that another one is better.
"""

from collections.abc import Sequence

from compress_bench.report.scatter import Point, bounds


def front_of(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats by value, cheapest first."""
    kept = [p for p in points if not any(_beats(other, p) for other in points)]
    return sorted(kept, key=lambda p: (p.cost.value, p.accuracy.value))


def _beats(one: Point, other: Point) -> bool:
    """Whether one is at least as good in both values and better in one."""
    cost, accuracy = one.cost.value, one.accuracy.value
    no_worse = cost <= other.cost.value and accuracy >= other.accuracy.value
    return no_worse and (cost < other.cost.value or accuracy > other.accuracy.value)


def surely_beats(one: Point, other: Point) -> bool:
    """Whether the intervals show it: at least as good in both, and apart in one.

    A cost without an interval (a file's size) is exact; an accuracy always has one.
    """
    cost_high, other_cost_low = bounds(one.cost)[1], bounds(other.cost)[0]
    accuracy_low, other_accuracy_high = bounds(one.accuracy)[0], bounds(other.accuracy)[1]
    no_worse = cost_high <= other_cost_low and accuracy_low >= other_accuracy_high
    return no_worse and (cost_high < other_cost_low or accuracy_low > other_accuracy_high)


def front_words(points: Sequence[Point]) -> str:
    """Who is behind the front, and whether the intervals show it."""
    if len(points) < 2:
        return ""
    front = front_of(points)
    behind = [point for point in points if point not in front]
    shown = [p.name for p in behind if any(surely_beats(other, p) for other in points)]
    unsure = [p.name for p in behind if p.name not in shown]
    said = ["The dotted line joins what no other variant beats in both values."]
    if shown:
        said.append(f"Behind it, and shown to be by the intervals: {', '.join(shown)}.")
    if unsure:
        said.append(f"Behind it by value only, since intervals overlap: {', '.join(unsure)}.")
    if not behind:
        said.append("None is behind it.")
    return " ".join(said)
