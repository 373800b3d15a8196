"""The report as one HTML page: no script, nothing loaded, readable without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress_bench.report import appendix, facts
from compress_bench.report.confusions import confusion_of, worst_pairs
from compress_bench.report.details import details
from compress_bench.report.facts import Report
from compress_bench.report.figures import figures_for
from compress_bench.report.filling import (
    Picture,
    Tile,
    data_uri,
    day,
    fill_template,
    pictures_of,
)
from compress_bench.report.findings import earlier, findings
from compress_bench.report.format import Estimate, percent, points, ratio, size
from compress_bench.report.gallery import gallery
from compress_bench.report.module_tables import module_tables, sweep_table, unprofiled
from compress_bench.report.portability import core_views
from compress_bench.report.repair import climbed, repair_sentence, repair_table
from compress_bench.report.repair_figures import draw_ladder
from compress_bench.report.search.section import SearchSection, search_section
from compress_bench.report.sentences import distillation, headline, int8_worth, notes
from compress_bench.report.settings_found import recommended
from compress_bench.report.table import Table, build_table
from compress_bench.report.verdict import goals, status, verdict


def render_html(report: Report) -> str:
    """The whole page.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    confusion = confusion_of(report)
    found = (
        distillation(report),
        int8_worth(report),
        "" if climbed(report) else repair_sentence(report),
        *findings(report),
    )
    return fill_template(
        "report.html.j2",
        {
            "title": page_title(report),
            "created": day(report),
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
            "search": search_of(report),
            "repair": repair_of(report),
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


def draw_pictures(report: Report) -> list[Picture]:
    """Every figure that the report has the numbers for."""
    return pictures_of(
        lambda found: {name: figure.draw(found) for name, figure in figures_for(found).items()},
        report,
    )


def search_of(report: Report) -> SearchSection | None:
    """The search that the student came from; None where there was none."""
    found = facts.dig(report, "search")
    return search_section(found) if isinstance(found, Mapping) else None


@dataclass(frozen=True)
class RepairSection:
    """The ladder as the template places it."""

    said: tuple[str, ...]
    table: Table
    pictures: list[Picture]


def repair_of(report: Report) -> RepairSection | None:
    """How int8 was repaired; None where plain int8 was all that was tried."""
    found = climbed(report)
    if found is None:
        return None
    pictures = pictures_of(draw_ladder, found)
    return RepairSection((repair_sentence(report),), repair_table(found), pictures)


def page_title(report: Report) -> str:
    """Which network became which, on which images."""
    found = facts.variants(report)
    ends = (facts.reference(report), facts.deployed(report))
    names = [str(facts.dig(found, end, "network") or end) for end in ends if end]
    names = list(dict.fromkeys(names)) or ["Measurement"]
    data = facts.dig(report, "data", "reference")
    return " \N{RIGHTWARDS ARROW} ".join(names) + (f" on {data}" if data else "")


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


def downloads(reports: Sequence[Report]) -> list[tuple[str, str]]:
    """Name and address of a link per report, numbered where there are several."""
    if len(reports) == 1:
        return [("report.json", data_uri(reports[0]))]
    return [(f"report-{i}.json", data_uri(report)) for i, report in enumerate(reports, start=1)]
