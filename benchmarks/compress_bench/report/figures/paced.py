"""Arrival to answer at the pace of a camera."""

from compress_bench.report import facts
from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import percent, seconds, short_seconds
from compress_bench.report.legend import Entry
from compress_bench.report.panels import Layout, Limit, Line, Mark, Panel, draw_panels
from compress_bench.report.series import Series, by_variant

POSITION = 27

_MARKERS = {"p50": "o", "p90": "^", "p99": "s"}


def applies(report: Report) -> bool:
    """Whether any variant was measured at a camera's pace."""
    return any(_marks(report, name, look) for name, look in by_variant(report).items())


def draw(report: Report) -> Drawing:
    """A row a variant, the deadline across all of them."""
    lines, said = [], []
    for name, look in by_variant(report).items():
        marks = _marks(report, name, look)
        if not marks:
            continue
        missed = facts.estimate(facts.timed(report, name), "paced", "missed")
        share = f"{percent(missed).text} missed" if missed else ""
        lines.append(Line(name, marks, share))
        said.append(f"{name} {seconds(marks[0].estimate).text}, {share or 'misses not counted'}")
    drawn = {mark.marker for line in lines for mark in line.marks}
    legend = [Entry(key, marker) for key, marker in _MARKERS.items() if marker in drawn]
    back_to_back = any(len({mark.lane for mark in line.marks}) > 1 for line in lines)
    legend += [Entry("p50 back to back", "D", filled=False)] if back_to_back else []
    deadline = _deadline(report)
    limit = None if deadline is None else Limit(deadline, "deadline")
    legend += [Entry(f"deadline {short_seconds(deadline)}", "|", "fail")] if deadline else []
    layout = Layout(
        axis="Arrival to answer, logarithmic",
        tick=short_seconds,
        scale="log",
        legend=tuple(legend),
        limit=limit,
    )
    return Drawing(
        figure=draw_panels([Panel("", tuple(lines))], layout),
        title="Paced like a camera",
        caption="One frame at a time, each at its moment. Between frames caches and clocks cool "
        "down, so that an inference can take longer than back to back. Lines are 95 % intervals.",
        label=f"Arrival to answer at a camera's pace, p50: {'; '.join(said)}.",
    )


def _marks(report: Report, name: str, look: Series) -> tuple[Mark, ...]:
    fields = facts.timed(report, name)
    found = [
        Mark(estimate, look.paint, marker, look.filled)
        for key, marker in _MARKERS.items()
        if (estimate := facts.estimate(fields, "paced", key)) is not None
    ]
    steady = facts.latency(report, name)
    if found and steady is not None:
        found.append(Mark(steady, "muted", "D", filled=False, lane=1))
    return tuple(found)


def _deadline(report: Report) -> float | None:
    found = (facts.number(v, "paced", "deadline_seconds") for v in facts.variants(report).values())
    return next((value for value in found if value is not None and value > 0), None)
