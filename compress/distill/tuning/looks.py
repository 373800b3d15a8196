"""Which colour, marker and line a trial has in every figure: those of its teacher or its method."""

from dataclasses import dataclass
from typing import Any

from compress.distill.tuning.outcome import Outcome

_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), "-.", "--", ":")


@dataclass(frozen=True)
class Look:
    """How a trial looks.

    Attributes:
        group: the teacher or method that it belongs to.
        paint: CSS variable of its colour.
        marker: matplotlib's marker.
        line: matplotlib's line style.
    """

    group: str
    paint: str
    marker: str
    line: Any


def looks_of(outcome: Outcome) -> dict[int, Look]:
    """Looks by a trial's number: by teacher where there are several, else by method."""
    by_teacher = len(outcome.teachers) > 1
    groups = {
        trial.number: trial.teacher if by_teacher else trial.settings.method
        for trial in outcome.trials
    }
    order = list(dict.fromkeys(groups.values()))
    return {number: _look(group, order.index(group)) for number, group in groups.items()}


def _look(group: str, index: int) -> Look:
    """Six colours; beyond them the markers and lines are moved by one, so that no look is twice."""
    turn, color = divmod(index, len(_MARKERS))
    shape = (color + turn) % len(_MARKERS)
    return Look(group, f"series-{color + 1}", _MARKERS[shape], _LINES[shape])
