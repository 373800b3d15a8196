"""Several reports side by side: the same variants on several machines.

Each machine's numbers stand as its own report gives them. Nothing is subtracted or divided across
machines: clocks, noise and runtimes differ, and no interval would cover that.
"""

from collections.abc import Callable, Sequence

from compress_bench.report import facts, table
from compress_bench.report.facts import Fields, Report, dig
from compress_bench.report.table import Cell, Row, Table

_OWN = (
    "Every number holds for the machine above it; speed-ups are against the reference on the same "
    "machine. Numbers of different machines are not subtracted from each other."
)
_MEASURES: dict[str, Callable[[Report, Fields], Cell]] = {
    "p50 latency": table.latency,
    "Speed-up": table.speedup,
    "Test accuracy": table.accuracy,
    "Memory": table.memory,
}


def machine_tables(reports: Sequence[Report]) -> list[tuple[str, Table]]:
    """One titled table per measure: rows are variants, columns machines."""
    found = ((title, _measure(reports, build)) for title, build in _MEASURES.items())
    return [(title, filled) for title, filled in found if _any_cell(filled)]


def _any_cell(filled: Table) -> bool:
    return any(not cell.empty for row in filled.rows for cell in row.cells)


def _measure(reports: Sequence[Report], build: Callable[[Report, Fields], Cell]) -> Table:
    names = dict.fromkeys(name for report in reports for name in facts.variants(report))
    rows = []
    for name in names:
        having = [name in facts.variants(report) for report in reports]
        first = reports[having.index(True)]
        cells = (
            build(report, facts.variants(report)[name]) if has else Cell()
            for report, has in zip(reports, having, strict=True)
        )
        rows.append(Row(name, facts.detail(first, name), tuple(cells)))
    return Table(columns=machine_names(reports), rows=tuple(rows))


def machine_names(reports: Sequence[Report]) -> tuple[str, ...]:
    """Processor and threads of each report, numbered where two would read alike."""
    names = [_machine_name(report) for report in reports]
    return tuple(
        f"{name} [{i}]" if names.count(name) > 1 else name for i, name in enumerate(names, start=1)
    )


def _machine_name(report: Report) -> str:
    name = str(dig(report, "machine", "cpu") or dig(report, "machine", "machine") or "machine")
    threads = facts.number(report, "settings", "threads")
    if threads is not None:
        name += f", {threads:.0f} thread{'' if threads == 1 else 's'}"
    return name + (", emulated" if facts.emulated(report) else "")


def cautions(reports: Sequence[Report]) -> tuple[str, ...]:
    """What must be known before the columns are compared."""
    found = [_OWN]
    for name in dict.fromkeys(name for report in reports for name in facts.variants(report)):
        sums = {dig(facts.variants(report), name, "sha256") for report in reports}
        if len(sums - {None}) > 1:
            found.append(f"{name}: the reports are of different files (their sha256 differ).")
    compared = (("data", "reference"), ("data", "n"), ("settings", "batch_size"))
    for path in (*compared, ("settings", "profile"), ("settings", "reference")):
        values = [str(dig(report, *path)) for report in reports]
        if len(set(values)) > 1:
            found.append(f"{'.'.join(path)} differs: {', '.join(values)}.")
    return tuple(found)
