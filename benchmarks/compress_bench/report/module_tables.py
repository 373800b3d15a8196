"""Tables that have rows of their own: modules of a network, settings of a sweep."""

from compress_bench.report import facts
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate, Scaled, amount, percent, seconds
from compress_bench.report.layers import KINDS, Layer, layers_of, reasons, shown_variants
from compress_bench.report.settings_found import Setting, recommended, settings_of
from compress_bench.report.table import Cell, Row, Table, cell, without_empty

_MOST = 10  # modules a table


def module_tables(report: Report) -> tuple[tuple[str, Table], ...]:
    """A table of the slowest modules for each of the variants that matter."""
    found = layers_of(report)
    return tuple((name, _modules(report, name, found[name])) for name in shown_variants(report))


def _modules(report: Report, name: str, rows: tuple[Layer, ...]) -> Table:
    columns = ("Time", "Share", "Kind", "MACs")
    shown = tuple(
        Row(row.module, ", ".join(dict.fromkeys(row.operators)), _cells(row))
        for row in rows[:_MOST]
    )
    return without_empty(Table(columns, shown, _said(report, name, rows), head="Module"))


def _cells(row: Layer) -> tuple[Cell, ...]:
    share = None if row.share is None else percent(Estimate(row.share))
    macs = None if row.macs is None else Scaled(amount(Estimate(row.macs)).text)
    note = "float island" if row.island else ""
    computed = Cell(KINDS[row.kind], note=note) if row.kind else Cell()
    return cell(seconds(row.time)), cell(share), computed, cell(macs)


def _said(report: Report, name: str, rows: tuple[Layer, ...]) -> tuple[str, ...]:
    """How many modules are not shown, over how many runs, and what the islands take."""
    fields = facts.variants(report)[name]
    runs, total = (facts.number(fields, "layers", key) for key in ("runs", "seconds"))
    said = []
    if total is not None:
        over = "" if runs is None else f", over {runs:.0f} inferences under the profiler"
        said.append(f"All operators together take {seconds(Estimate(total)).text}{over}.")
    if len(rows) > _MOST:
        said.append(f"The {_MOST} slowest of {len(rows)} modules.")
    return (*said, *((islands_sentence(report, name),) if islands_sentence(report, name) else ()))


def islands_sentence(report: Report, name: str) -> str:
    """What the modules cost that an int8 file computes in float."""
    found = facts.listed(facts.variants(report), name, "layers", "islands")
    times = [value for row in found if (value := facts.number(row, "seconds")) is not None]
    shares = [value for row in found if (value := facts.number(row, "share")) is not None]
    if not times:
        return ""
    number = f"{len(found)} float island{'' if len(found) == 1 else 's'}"
    share = f", {percent(Estimate(sum(shares))).text} of it" if len(shares) == len(found) else ""
    verb = "takes" if len(found) == 1 else "take"
    return f"{number} {verb} {seconds(Estimate(sum(times))).text} per inference{share}."


def unprofiled(report: Report) -> tuple[str, ...]:
    """Why variants have no modules; of an emulated core the whole report says it."""
    if facts.emulated(report):
        return ()
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons(report).items():
        by_reason.setdefault(reason, []).append(name)
    return tuple(
        f"No modules for {', '.join(names)}: {reason.rstrip('.')}."
        for reason, names in by_reason.items()
    )


def sweep_table(report: Report) -> Table | None:
    """A row a variant and setting; None where nothing was swept."""
    chosen = {name: (best.threads, best.spinning) for name, best in recommended(report).items()}
    rows = tuple(
        Row(name, row.words, _setting(row, chosen.get(name) == (row.threads, row.spinning)))
        for name, settings in settings_of(report).items()
        for row in settings
    )
    columns = ("p50 latency", "CPU per inference", "CPU per frame", "Missed", "Advice")
    reasons = dict.fromkeys(
        str(reason)
        for row in facts.listed(report, "sweep", "rows")
        if (reason := facts.dig(row, "p50", "reason"))
    )
    said = tuple(f"Without an interval: {reason.rstrip('.')}." for reason in reasons)
    return without_empty(Table(columns, rows, said)) if rows else None


def _setting(row: Setting, is_chosen: bool) -> tuple[Cell, ...]:
    times = (row.p50, row.cpu, row.frame)
    cells = (cell(seconds(found) if found else None) for found in times)
    missed = cell(percent(row.missed) if row.missed else None)
    return (*cells, missed, Cell("recommended") if is_chosen else Cell())
