"""The report as one HTML page: no script, nothing loaded, readable without a network.

Whatever comes from the report passes through Jinja2's escaping; the only markup let through
unescaped is our own stylesheet and the SVG that `canvas` wrote.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from typing import Any, TypeVar

from compress.errors import MissingExtraError
from compress_bench.report import appendix, facts
from compress_bench.report.canvas import Drawing, drawing_style, to_svg
from compress_bench.report.confusions import confusion_of, worst_pairs
from compress_bench.report.details import details
from compress_bench.report.facts import Report
from compress_bench.report.figures import figures_for
from compress_bench.report.findings import earlier, findings
from compress_bench.report.format import Estimate, percent, points, ratio, size
from compress_bench.report.gallery import gallery
from compress_bench.report.module_tables import module_tables, sweep_table, unprofiled
from compress_bench.report.portability import core_views
from compress_bench.report.sentences import distillation, headline, int8_worth, notes
from compress_bench.report.settings_found import recommended
from compress_bench.report.table import build_table
from compress_bench.report.verdict import MARKS, SYMBOLS, goals, status, verdict

T = TypeVar("T")
_BREAKS = r"(?<=[_./-])(?=\w)|(?<=\w)(?=@)"  # where a long name may go on in the next line


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


def render_html(report: Report) -> str:
    """The whole page.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    confusion = confusion_of(report)
    found = (distillation(report), int8_worth(report), *findings(report))
    return fill_template(
        "report.html.j2",
        {
            "title": page_title(report),
            "created": _day(report),
            "status": status(report),
            "verdict": verdict(report),
            "headline": headline(report),
            "goals": goals(report),
            "tiles": tiles(report),
            "table": build_table(report),
            "cores": core_views(report),
            "detail_tables": details(report),
            "modules": module_tables(report),
            "unprofiled": unprofiled(report),
            "sweep": sweep_table(report),
            "sweep_reasons": tuple(recommended(report).items()),
            "earlier": tuple(earlier(report)),
            "own_goals": [goal for goal in goals(report) if not goal.against_earlier],
            "earlier_goals": [goal for goal in goals(report) if goal.against_earlier],
            "findings": [s.partition(": ") for s in found if s],
            "notes": notes(report),
            "pictures": draw_pictures(report),
            "pairs": worst_pairs(confusion, 8) if confusion else [],
            "cards": gallery(report),
            "machine": appendix.machine_facts(report),
            "settings": appendix.setting_facts(report),
            "environment": appendix.environment_facts(report),
            "details": appendix.variant_facts(report),
            "method": appendix.method(report),
            "versions": facts.dig(report, "versions") or {},
            "downloads": downloads([report]),
        },
    )


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
    environment.filters["minus"] = _typographic_minus
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split(_BREAKS, name))
    environment.filters["ours"] = Markup  # for markup that this package wrote
    style = (folder / "style.css").read_text(encoding="utf-8")
    signs = {"marks": MARKS, "symbols": SYMBOLS, "style": style}
    return environment.get_template(name).render(**signs, **context)


def _typographic_minus(text: str) -> str:
    """A true minus sign in front of numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", str(text))


def draw_pictures(report: Report) -> list[Picture]:
    """Every figure that the report has the numbers for."""
    return pictures_of(
        lambda found: {name: figure.draw(found) for name, figure in figures_for(found).items()},
        report,
    )


def pictures_of(draw: Callable[[T], Mapping[str, Drawing]], found: T) -> list[Picture]:
    """What `draw` makes of `found`, as the template wants it; ids come from the names."""
    with drawing_style():
        return [
            Picture(
                name, drawing.title, drawing.caption, drawing.label, to_svg(drawing.figure, name)
            )
            for name, drawing in draw(found).items()
        ]


def page_title(report: Report) -> str:
    """Which network became which, on which images."""
    found = facts.variants(report)
    ends = (facts.reference(report), facts.deployed(report))
    names = [str(facts.dig(found, end, "network") or end) for end in ends if end]
    names = list(dict.fromkeys(names)) or ["Measurement"]
    data = facts.dig(report, "data", "reference")
    return " \N{RIGHTWARDS ARROW} ".join(names) + (f" on {data}" if data else "")


def _day(report: Report) -> str:
    """The date in words, or as it stands where it cannot be read."""
    created = str(facts.dig(report, "created_utc") or "")
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def tiles(report: Report) -> list[Tile]:
    """Speed, size, accuracy and agreement of the variant for the board."""
    name, reference = facts.deployed(report), facts.reference(report)
    if name is None or reference is None or name == reference:
        return []
    found = facts.variants(report)
    candidates = (
        _speed_tile(report, name, reference),
        _size_tile(found, name, reference),
        _drop_tile(found, name, reference),
        _agreement_tile(found, name, reference),
        _work_tile(report, name, reference),
    )
    return [tile for tile in candidates if tile is not None]


def _speed_tile(report: Report, name: str, reference: str) -> Tile | None:
    gain = facts.estimate(facts.variants(report), name, "speedup")
    if gain is None or facts.emulated(report):
        return None
    if facts.dig(facts.variants(report), name, "speedup", "resolvable") is False:
        return Tile(ratio(gain).text, f"the speed of {reference}", "not resolvable")
    word = "faster" if gain.value >= 1 else "of the speed, so slower,"
    return Tile(ratio(gain).text, f"{word} than {reference}", _bracketed(ratio(gain).bounds))


def _size_tile(found: Mapping[str, Any], name: str, reference: str) -> Tile | None:
    before = facts.number(found, reference, "size_bytes")
    after = facts.number(found, name, "size_bytes")
    if not before or not after:
        return None
    word = "smaller" if before >= after else "the size"
    factor = ratio(Estimate(before / after if before >= after else after / before)).text
    return Tile(factor, f"{word} than {reference}", f"{size(before)} to {size(after)}")


def _drop_tile(found: Mapping[str, Any], name: str, reference: str) -> Tile | None:
    drop = facts.estimate(found, name, "accuracy_drop")
    if drop is None:
        return None
    word = "accuracy lost" if drop.value >= 0 else "accuracy gained"
    shown = points(drop if drop.value >= 0 else _negated(drop))
    return Tile(shown.text, f"of {word} against {reference}", _bracketed(shown.bounds))


def _negated(found: Estimate) -> Estimate:
    """A drop as a gain: the bounds change places and signs."""
    low = None if found.high is None else -found.high
    high = None if found.low is None else -found.low
    return replace(found, value=-found.value, low=low, high=high)


def _agreement_tile(found: Mapping[str, Any], name: str, reference: str) -> Tile | None:
    share = facts.estimate(found, name, "agreement")
    if share is None:
        return None
    return Tile(
        percent(share).text, f"same answer as {reference}", _bracketed(percent(share).bounds)
    )


def _work_tile(report: Report, name: str, reference: str) -> Tile | None:
    """Where no time means anything: instructions, called what they are."""
    if not facts.emulated(report):
        return None
    found = facts.variants(report)
    before, after = (facts.number(found, n, "instructions", "value") for n in (reference, name))
    if not before or not after:
        return None
    word = "fewer" if before >= after else "more"
    factor = ratio(Estimate(before / after if before >= after else after / before)).text
    what = f"{word} instructions than {reference}"
    return Tile(factor, what, f"an estimate on {facts.core(report)}, not a time")


def _bracketed(bounds: str) -> str:
    return f"({bounds})" if bounds else ""


def data_uri(report: Report) -> str:
    """The report itself as a link's address; base64 holds no character that HTML knows."""
    content = json.dumps(report, indent=1).encode()
    return f"data:application/json;base64,{base64.b64encode(content).decode()}"


def downloads(reports: Sequence[Report]) -> list[tuple[str, str]]:
    """Name and address of a link per report, numbered where there are several."""
    if len(reports) == 1:
        return [("report.json", data_uri(reports[0]))]
    return [(f"report-{i}.json", data_uri(report)) for i, report in enumerate(reports, start=1)]
