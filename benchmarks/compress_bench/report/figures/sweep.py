"""Threads and spin-waiting: what each setting costs in time and in work of the processor."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import seconds, short_seconds
from compress_bench.report.legend import Entry
from compress_bench.report.panels import Layout, Line, Mark, Panel, draw_panels
from compress_bench.report.series import by_variant
from compress_bench.report.settings_found import Setting, recommended, settings_of

POSITION = 29

_LEGEND = (
    Entry("p50 latency", "o"),
    Entry("CPU time per inference", "D", filled=False),
)


def applies(report: Report) -> bool:
    """Whether settings were swept."""
    return bool(settings_of(report))


def draw(report: Report) -> Drawing:
    """A panel a variant, a row a setting."""
    found = settings_of(report)
    chosen = {name: (best.threads, best.spinning) for name, best in recommended(report).items()}
    looks = by_variant(report)
    panels = [
        Panel(
            name,
            tuple(
                _line(row, looks[name].paint, chosen.get(name) == (row.threads, row.spinning))
                for row in rows
            ),
        )
        for name, rows in found.items()
        if name in looks
    ]
    layout = Layout(axis="Time per inference", tick=short_seconds, legend=_LEGEND)
    said = (
        f"{name} with {row.words} {seconds(row.p50).text}"
        for name, rows in found.items()
        for row in rows
    )
    return Drawing(
        figure=draw_panels(panels, layout),
        title="Threads and spin-waiting",
        caption="CPU time counts all cores: right of the latency, several are busy. Lines are "
        "95 % intervals; each variant has an axis of its own, from zero.",
        label=f"p50 latency by session settings: {'; '.join(said)}.",
    )


def _line(row: Setting, paint: str, is_chosen: bool) -> Line:
    marks = [Mark(row.p50, paint, "o")]
    if row.cpu is not None:
        marks.append(Mark(row.cpu, "muted", "D", filled=False, lane=1))
    return Line(row.words, tuple(marks), "recommended" if is_chosen else "")
