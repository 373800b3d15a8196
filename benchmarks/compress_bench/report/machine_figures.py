"""Figures of several reports: each variant on each machine, never one machine over another."""

from collections.abc import Callable, Sequence

from compress_bench.report import facts
from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate, percent, seconds, short_seconds
from compress_bench.report.machines import machine_names
from compress_bench.report.panels import Layout, Line, Mark, Panel, draw_panels
from compress_bench.report.series import Series, by_variant

Find = Callable[[Report, str], Estimate | None]


def machine_figures(reports: Sequence[Report]) -> dict[str, Drawing]:
    """Latency and accuracy by machine, where there are any; call inside of `drawing_style`."""
    found = {"machines_latency": _latency(reports), "machines_accuracy": _accuracy(reports)}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def _latency(reports: Sequence[Report]) -> Drawing | None:
    panels = _panels(reports, facts.latency)
    if not panels:
        return None
    layout = Layout(axis="p50 latency", tick=short_seconds)
    return Drawing(
        figure=draw_panels(panels, layout),
        title="Latency by machine",
        caption="Each with the interval of its own report; each variant has an axis of its own, "
        "from zero.",
        label=f"p50 latency: {_spoken(panels, lambda found: seconds(found).text)}.",
    )


def _accuracy(reports: Sequence[Report]) -> Drawing | None:
    panels = _panels(
        reports, lambda report, name: facts.estimate(facts.variants(report), name, "accuracy")
    )
    if not panels:
        return None
    layout = Layout(axis="Test accuracy", tick=lambda x: f"{x * 100:.4g} %", scale="near")
    return Drawing(
        figure=draw_panels(panels, layout),
        title="Accuracy by machine",
        caption="Intervals are over images. The same file on the same images can still answer "
        "differently where processors round otherwise, above all in int8. Axes do not begin at "
        "zero.",
        label=f"Test accuracy: {_spoken(panels, lambda found: percent(found).text)}.",
    )


def _panels(reports: Sequence[Report], find: Find) -> list[Panel]:
    """A panel a variant, a row a machine."""
    machines = machine_names(reports)
    looks: dict[str, Series] = {}
    for report in reports:
        looks = by_variant(report) | looks
    panels = []
    for name, look in looks.items():
        lines = tuple(
            Line(machine, (Mark(found, look.paint, look.marker, look.filled),))
            for machine, report in zip(machines, reports, strict=True)
            if name in facts.variants(report) and (found := find(report, name)) is not None
        )
        if lines:
            panels.append(Panel(name, lines))
    return panels


def _spoken(panels: Sequence[Panel], show: Callable[[Estimate], str]) -> str:
    return "; ".join(
        f"{panel.title} on {line.name} {show(line.marks[0].estimate)}"
        for panel in panels
        for line in panel.lines
    )
