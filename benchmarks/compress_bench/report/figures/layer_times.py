"""Where the time goes: the slowest modules, float32 and int8 side by side."""

from collections.abc import Mapping

from compress_bench.report.canvas import Drawing
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate, percent, seconds, short_seconds
from compress_bench.report.layers import Layer, layers_of, shown_variants
from compress_bench.report.legend import Entry
from compress_bench.report.panels import Layout, Line, Mark, Panel, draw_panels
from compress_bench.report.series import Series, by_variant

POSITION = 24

_MOST = 6  # modules a panel


def applies(report: Report) -> bool:
    """Whether any variant was profiled."""
    return bool(shown_variants(report))


def draw(report: Report) -> Drawing:
    """A panel for each set of variants whose modules have the same names."""
    looks, found = by_variant(report), layers_of(report)
    groups = _groups({name: found[name] for name in shown_variants(report)})
    panels = [_panel(group, looks) for group in groups]
    legend = [Entry(name, "s", looks[name].paint) for group in groups for name in group]
    has_islands = any(row.island for group in groups for rows in group.values() for row in rows)
    if has_islands:
        legend.append(Entry("float within int8", "s", "muted", filled=False))
    layout = Layout(axis="Time per inference", tick=short_seconds, legend=tuple(legend))
    return Drawing(
        figure=draw_panels(panels, layout),
        title="Time by module",
        caption="The slowest modules, by the names that torch gives them; thin lines are the "
        "intervals. The profiler itself adds some microseconds to each operator, so a network's "
        "modules can add up to more than its latency."
        + (" Hollow bars are computed in float within an int8 file." if has_islands else ""),
        label=f"Time by module. Slowest: {'; '.join(_spoken(groups))}.",
    )


def _groups(found: Mapping[str, tuple[Layer, ...]]) -> list[dict[str, tuple[Layer, ...]]]:
    """Variants together where most modules of one are modules of the other."""
    groups: list[dict[str, tuple[Layer, ...]]] = []
    for name, rows in found.items():
        modules = {row.name for row in rows}
        for group in groups:
            known = {row.name for row in next(iter(group.values()))}
            if 2 * len(modules & known) > min(len(modules), len(known)):
                group[name] = rows
                break
        else:
            groups.append({name: rows})
    return groups


def _panel(group: Mapping[str, tuple[Layer, ...]], looks: Mapping[str, Series]) -> Panel:
    by_module = {name: _by_name(rows) for name, rows in group.items()}
    modules = {name for rows in by_module.values() for name in rows}
    slowest = {
        module: max(rows[module].time.value for rows in by_module.values() if module in rows)
        for module in modules
    }
    shown = sorted(modules, key=lambda module: (-slowest[module], module))[:_MOST]
    lines = []
    for module in shown:
        present = [(name, rows[module]) for name, rows in by_module.items() if module in rows]
        marks = (
            Mark(row.time, looks[name].paint, filled=not row.island, lane=lane)
            for lane, (name, row) in enumerate(present)
        )
        share = percent(Estimate(present[-1][1].share)).text if present[-1][1].share else ""
        lines.append(Line(module, tuple(marks), share))
    last = list(group)[-1]
    return Panel(f"{', '.join(group)} (share of {last})", tuple(lines))


def _by_name(rows: tuple[Layer, ...]) -> dict[str, Layer]:
    """Rows by name; a module that computes in two ways has its slower one's name alone."""
    found: dict[str, Layer] = {}
    for row in rows:  # slowest first
        found.setdefault(row.name if row.name not in found else f"{row.name} ({row.kind})", row)
    return found


def _spoken(groups: list[dict[str, tuple[Layer, ...]]]) -> list[str]:
    return [
        f"{name}: {rows[0].name} with {seconds(rows[0].time).text}"
        for group in groups
        for name, rows in group.items()
    ]
