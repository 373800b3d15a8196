"""From a matplotlib figure to inline SVG that follows the page's colours and fonts.

Figures are drawn with stand-in colours; the SVG names the page's CSS variables in their place,
so that one drawing is readable in light and dark mode. Text stays text: searchable, and in the
page's own font. No pyplot: nothing global survives a drawing.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from compress.errors import MissingExtraError

# CSS variable -> stand-in while drawing, and the colour that an SVG taken out of the page shows.
# The stand-ins are colours that no theme would choose, and never black, which SVG leaves out.
_PAINTS = {
    "ink": ("#010203", "#1b1f24"),
    "muted": ("#010204", "#57606a"),
    "line": ("#010205", "#d8dee4"),
    "heat": ("#010206", "#08306b"),
    "on-heat": ("#010207", "#ffffff"),
    "surface": ("#010208", "#ffffff"),
    "series-1": ("#010209", "#8250a8"),
    "series-2": ("#01020a", "#a86b00"),
    "series-3": ("#01020b", "#0069a8"),
    "series-4": ("#01020c", "#c4460b"),
    "series-5": ("#01020d", "#00795c"),
    "series-6": ("#01020e", "#a8326e"),
    "fail": ("#01020f", "#a40e26"),
}
WIDTH = 360.0  # units of the SVG; with 11-unit text it reads at 343 px and at 480 px
FONT = 11.0

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": FONT,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a class called "$100" is not a formula
}


@dataclass(frozen=True)
class Drawing:
    """A figure with what is written around it.

    Attributes:
        figure: matplotlib Figure.
        title: heading above.
        caption: what to look at, and what must be known.
        label: what a screen reader says in its place.
    """

    figure: Any
    title: str
    caption: str
    label: str


def paint(name: str) -> str:
    """The stand-in for the CSS variable `--name`."""
    return _PAINTS[name][0]


@contextmanager
def drawing_style() -> Iterator[None]:
    """Our settings of matplotlib, for the time of one figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The reader's browser has its own fonts: what ours lacks does not matter.
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph .*missing from.*font")
        yield


def new_figure(height: float) -> Any:
    """An empty figure of WIDTH x `height` units with a transparent background."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")


def new_axes(figure: Any, box: tuple[float, float, float, float]) -> Any:
    """Axes with a light grid and no frame.

    Args:
        figure: from `new_figure`.
        box: left, bottom, right and top margin in units.
    """
    width, height = figure.get_figwidth() * 72, figure.get_figheight() * 72
    left, bottom, right, top = box
    shares = (left / width, bottom / height, 1 - (left + right) / width)
    axes = figure.add_axes((*shares, 1 - (bottom + top) / height), facecolor="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=5, which="both", labelcolor=paint("muted"))
    axes.grid(True, which="major", color=paint("line"), linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def axis_titles(axes: Any, horizontal: str, vertical: str) -> None:
    """Titles that are read without tilting the head: the vertical one lies above its axis."""
    figure = axes.figure
    box = axes.get_position()
    style = {"color": paint("ink"), "fontsize": FONT}
    figure.text(box.x1, 6 / (figure.get_figheight() * 72), horizontal, ha="right", **style)
    above = box.y1 + 12 / (figure.get_figheight() * 72)
    figure.text(6 / WIDTH, above, vertical, ha="left", **style)


def ground() -> dict[str, Any]:
    """The `bbox` of a text that lines run through, so that none of them strikes it out."""
    return {"facecolor": paint("surface"), "edgecolor": "none", "alpha": 0.8, "pad": 0.5}


def shortened(name: str, letters: int) -> str:
    """A name of at most so many letters; the page's table and lists have the whole of it."""
    return name if len(name) <= letters else name[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def abridged(name: str, letters: int) -> str:
    """As `shortened`, by the middle: both ends tell modules and machines apart."""
    if len(name) <= letters:
        return name
    tail = (letters - 1) // 2
    return f"{name[: letters - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - tail :]}"


def to_svg(figure: Any, name: str) -> str:
    """The figure as one <svg> element for an HTML page.

    Args:
        figure: drawn inside `drawing_style`.
        name: makes ids unique within the page.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # ids depend on content and name alone
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    text = buffer.getvalue()
    return _named(_painted(_plain(text[text.index("<svg") :])), name)


def _plain(svg: str) -> str:
    """Without what an HTML page has already: namespaces, fixed size, fonts; nor metadata."""
    alien = r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>"  # its style is for every *
    svg = re.sub(alien, "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"; font-family: [^;\"]*", "", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height|version)="[^"]*"', "", head)
    rest = re.sub(r">\s*\n\s*<", "><", rest).strip()
    return f"{head}>{rest}"


def _painted(svg: str) -> str:
    for variable, (stand_in, fallback) in _PAINTS.items():
        svg = svg.replace(stand_in, f"var(--{variable}, {fallback})")
    return svg


def _named(svg: str, name: str) -> str:
    """Ids prefixed, so that two figures on one page do not share them."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    return svg.replace("url(#", f"url(#{name}-")
