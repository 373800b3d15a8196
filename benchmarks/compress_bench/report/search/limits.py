"""Goals as lines across a figure of a search: where they lie, and what is written at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from compress_bench.report.format import TIMES, Estimate, percent
from compress_bench.report.search import reading
from compress_bench.report.search.reading import Aim, Content, Tried

Measure = Literal["latency", "size", "accuracy"]

_PLAIN = {
    ("latency", "latency.p50", "max"): "at most",
    ("size", "size", "max"): "at most",
    ("accuracy", "accuracy", "min"): "at least",
}
_VARIANTS = {"float32": "student", "int8": "student_int8"}
_MINUS = "\N{MINUS SIGN}"
_FAR = 10.0  # times beyond the points, from where on a goal is said and not drawn


@dataclass(frozen=True)
class GoalLine:
    """A goal on one axis.

    Attributes:
        value: seconds, bytes or a fraction.
        text: what is written at the line.
    """

    value: float
    text: str


def goal_lines(content: Content, measure: Measure) -> tuple[GoalLine, ...]:
    """The goals on one axis; those about another file, or against a student, have no line."""
    wanted = _VARIANTS[reading.precision(content)]
    teacher = reading.teacher(content)
    found = (_line(aim, measure, teacher) for aim in reading.aims(content) if aim.variant == wanted)
    return tuple(line for line in found if line is not None)


def _line(aim: Aim, measure: Measure, teacher: Tried | None) -> GoalLine | None:
    """A goal's line; None where it is none on this axis."""
    if aim.limit is None:
        return None
    kind = (measure, aim.metric, aim.bound)
    if kind in _PLAIN:
        return GoalLine(aim.limit, f"{_PLAIN[kind]} {aim.written}")
    if teacher is None or aim.vs not in ("", "teacher"):
        return None
    if kind == ("latency", "speedup.p50", "min") and teacher.latency and aim.limit > 0:
        text = f"{aim.limit:g}{TIMES} the teacher's speed"
        return GoalLine(teacher.latency.value / aim.limit, text)
    if kind == ("accuracy", "accuracy", "max_drop") and teacher.accuracy:
        value = teacher.accuracy.value - aim.limit
        share = percent(Estimate(value)).text
        return GoalLine(value, f"teacher {_MINUS} {aim.written}: {share}")
    return None


def within_reach(
    lines: Sequence[GoalLine], costs: Sequence[float]
) -> tuple[list[GoalLine], list[GoalLine]]:
    """The lines of an axis of costs that can be drawn beside `costs`, and those far from them."""
    low, high = min(costs) / _FAR, max(costs) * _FAR
    near = [line for line in lines if low <= line.value <= high]
    return near, [line for line in lines if line not in near]


def far_words(lines: Sequence[GoalLine], costs: Sequence[float]) -> str:
    """Where the goals lie that are not drawn."""
    sides = ((line, "right" if line.value > max(costs) else "left") for line in lines)
    said = [f"The goal, {line.text}, lies far to the {side}." for line, side in sides]
    return " ".join(said)
