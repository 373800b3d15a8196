"""Which colour, marker and line a variant has in every figure: the same everywhere.

Colours keep apart for colour-blind readers (after Okabe and Ito, darkened to three to one on
white); markers and line styles differ as well, so that colour is never the only sign.
"""

from dataclasses import dataclass, replace

from compress_bench.report import facts
from compress_bench.report.facts import Report

_MARKERS = ("s", "^", "o", "D", "v", "P")
_LINES: tuple[object, ...] = ((0, (5, 2)), (0, (1.5, 1.5)), "-", "-.", "--", ":")
_BY_ROLE = {"teacher": 0, "baseline": 1, "student": 2, "student_int8": 3}


@dataclass(frozen=True)
class Series:
    """How a variant looks.

    Attributes:
        paint: CSS variable of its colour.
        marker: matplotlib's marker.
        line: matplotlib's line style.
        filled: hollow where a second runtime serves the same file.
    """

    paint: str
    marker: str
    line: object
    filled: bool = True

    @property
    def face(self) -> str:
        """CSS variable of what fills its marker."""
        return self.paint if self.filled else "surface"


def by_role(role: str) -> Series:
    """The look of a known role; of a student for others."""
    return _series(_BY_ROLE.get(role, 2))


def by_variant(report: Report) -> dict[str, Series]:
    """The look of every variant: by role, and by order where roles are unknown or repeated.

    A file that a second runtime serves looks as the first one's, hollow.
    """
    free = list(range(len(_MARKERS)))
    found: dict[str, Series] = {}
    again = facts.again(report)
    for name, fields in facts.variants(report).items():
        if name in again:
            continue
        wanted = _BY_ROLE.get(str(fields.get("role")), free[0] if free else 0)
        index = wanted if wanted in free or not free else free[0]
        found[name] = _series(index)
        free = [i for i in free if i != index]
    found |= {name: replace(found[first], filled=False) for name, first in again.items()}
    return {name: found[name] for name in facts.variants(report)}


def _series(index: int) -> Series:
    return Series(f"series-{index + 1}", _MARKERS[index], _LINES[index])
