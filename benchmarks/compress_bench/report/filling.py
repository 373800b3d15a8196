"""A page's templates filled, and what fills them: tiles, pictures, and files to save.

Whatever comes from a report passes through Jinja2's escaping; the only markup let through
unescaped is our own stylesheet and the SVG that `canvas` wrote.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, TypeVar

from compress.errors import MissingExtraError
from compress_bench.report.canvas import Drawing, drawing_style, to_svg
from compress_bench.report.facts import Report, dig
from compress_bench.report.verdict import MARKS, SYMBOLS

T = TypeVar("T")
_BREAKS = r"(?<=[_./-])(?=\w)|(?<=\w)(?=@)"  # where a long name may go on in the next line
_FLAG = r"(?<!\S)(--[a-z][a-z-]*)"


@dataclass(frozen=True)
class Picture:
    """A drawn figure as the template wants it; `svg` is markup, the rest is text."""

    name: str
    title: str
    caption: str
    label: str
    svg: str


@dataclass(frozen=True)
class Tile:
    """A key figure: a large number, what it is, and its interval or source."""

    number: str
    what: str
    detail: str


def fill_template(name: str, context: Mapping[str, Any]) -> str:
    """A template of this package, filled; everything in `context` is escaped."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    folder = resources.files("compress_bench.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda file: (folder / file).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = lambda text: _typeset(str(text), Markup)
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split(_BREAKS, name))
    environment.filters["ours"] = Markup  # for markup that this package wrote
    style = (folder / "style.css").read_text(encoding="utf-8")
    signs = {"marks": MARKS, "symbols": SYMBOLS, "style": style}
    return environment.get_template(name).render(**signs, **context)


def _typeset(text: str, markup: type[Any]) -> Any:
    """A true minus sign in front of numbers, and flags that are not broken at their hyphens."""
    parts = re.split(_FLAG, re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", text))
    whole = markup('<span class="flag">{}</span>')
    return markup("").join(whole.format(part) if i % 2 else part for i, part in enumerate(parts))


def pictures_of(draw: Callable[[T], Mapping[str, Drawing]], found: T) -> list[Picture]:
    """What `draw` makes of `found`, as the template wants it; ids come from the names."""
    with drawing_style():
        return [
            Picture(
                name, drawing.title, drawing.caption, drawing.label, to_svg(drawing.figure, name)
            )
            for name, drawing in draw(found).items()
        ]


def day(report: Report) -> str:
    """The date in words, or as it stands where it cannot be read."""
    created = str(dig(report, "created_utc") or "")
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def data_uri(report: Report) -> str:
    """The report itself as a link's address."""
    return file_uri(json.dumps(report, indent=1), "application/json")


def file_uri(text: str, kind: str) -> str:
    """A text file of a media type as a link's address; base64 holds no character of HTML."""
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"
