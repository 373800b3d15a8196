"""What the marks of a figure mean, in one or two lines above it.

Widths are guessed from the number of letters: a legend's height must be known before anything is
drawn, and the reader's font is another one than ours anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compress_bench.report.canvas import FONT, WIDTH, abridged, paint

_LETTER = 0.56 * FONT
_SIGN = 15.0  # from a marker's middle to the end of the gap after it
_APART = 14.0
_LINE = 17.0
_LETTERS = 34


@dataclass(frozen=True)
class Entry:
    """A mark and its meaning.

    Attributes:
        text: what it means.
        marker: matplotlib's marker.
        paint: CSS variable of its colour.
        filled: or hollow.
        alpha: of the filling.
    """

    text: str
    marker: str = "o"
    paint: str = "muted"
    filled: bool = True
    alpha: float = 1.0


def legend_height(entries: Sequence[Entry]) -> float:
    """Units that `draw_legend` will take."""
    return _LINE * (1 + max(line for _, line in _places(entries))) + 8 if entries else 0.0


def draw_legend(figure: Any, entries: Sequence[Entry]) -> None:
    """Draw the entries from the upper left corner, in as many lines as they need."""
    if not entries:
        return
    page = units_of(figure)
    for entry, (x, line) in zip(entries, _places(entries), strict=True):
        y = 10 + _LINE * line
        face = paint(entry.paint) if entry.filled else paint("surface")
        style: dict[str, Any] = {"markersize": 7, "markeredgecolor": paint(entry.paint)}
        page.plot([x], [y], entry.marker, markerfacecolor=face, alpha=entry.alpha, **style)
        page.text(x + 9, y, _text(entry), va="center", color=paint("ink"), fontsize=FONT)


def units_of(figure: Any) -> Any:
    """Invisible axes over the whole figure, in its units, from the upper left corner."""
    axes = figure.add_axes((0, 0, 1, 1), facecolor="none")
    axes.set(xlim=(0, WIDTH), ylim=(figure.get_figheight() * 72, 0))
    axes.set_axis_off()
    return axes


def _text(entry: Entry) -> str:
    return abridged(entry.text, _LETTERS)


def _places(entries: Sequence[Entry]) -> list[tuple[float, int]]:
    """Where each marker stands, and in which line."""
    places: list[tuple[float, int]] = []
    x, line = 10.0, 0
    for entry in entries:
        width = _SIGN + _LETTER * len(_text(entry))
        if places and x + width > WIDTH:
            x, line = 10.0, line + 1
        places.append((x, line))
        x += width + _APART
    return places
