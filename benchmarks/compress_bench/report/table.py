"""The one table, as rows of text that the terminal, Markdown and HTML all show.

A row is a variant: what it answers right, what it costs, and how sure that is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from compress_bench.report import facts
from compress_bench.report.caption import caption
from compress_bench.report.facts import Fields, Report
from compress_bench.report.format import DASH, Scaled, count, percent, points, ratio, seconds, size


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: the number with its unit, or a dash.
        bounds: its interval, or "".
        note: what must be known with the number, such as "not resolvable", or "".
    """

    text: str = DASH
    bounds: str = ""
    note: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing was measured."""
        return self.text == DASH

    @property
    def lines(self) -> tuple[str, ...]:
        """The parts, one below the other."""
        bounds = f"({self.bounds})" if self.bounds else ""
        return tuple(part for part in (self.text, bounds, self.note) if part)

    @property
    def full(self) -> str:
        """The parts on one line."""
        text = f"{self.text} ({self.bounds})" if self.bounds else self.text
        return f"{text}, {self.note}" if self.note else text


@dataclass(frozen=True)
class Row:
    """A variant.

    Attributes:
        name: as goals and files call it.
        detail: network, precision, part in the comparison.
        cells: one per column.
        is_chosen: whether the page marks it among the others.
    """

    name: str
    detail: str
    cells: tuple[Cell, ...]
    is_chosen: bool = False


@dataclass(frozen=True)
class Table:
    """Column titles, rows, the sentences below them, and what a row is."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: tuple[str, ...] = ()
    head: str = "Variant"


Columns = dict[str, Callable[[Report, Fields], Cell]]


def build_table(report: Report) -> Table:
    """The one table of a report; a column that no variant has a number for is left out."""
    return fill(report, _columns(report), caption(report), detailed=True)


def fill(
    report: Report, columns: Columns, caption: tuple[str, ...] = (), *, detailed: bool = False
) -> Table:
    """A row per variant, without the columns that are empty in all of them.

    Args:
        report: what the cells are filled from.
        columns: titles in reading order, each with what fills its cells.
        caption: sentences below.
        detailed: whether a row says what its variant is.
    """
    rows = tuple(
        Row(
            name=name,
            detail=facts.detail(report, name) if detailed else "",
            cells=tuple(build(report, fields) for build in columns.values()),
        )
        for name, fields in facts.variants(report).items()
    )
    return without_empty(Table(tuple(columns), rows, caption))


def without_empty(table: Table) -> Table:
    """The table without columns that no row has a number for."""
    every = range(len(table.columns))
    kept = [i for i in every if any(not row.cells[i].empty for row in table.rows)]
    rows = (replace(row, cells=tuple(row.cells[i] for i in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=tuple(rows))


def _columns(report: Report) -> Columns:
    """Column titles in reading order, each with what fills its cells."""
    reference = facts.reference(report)
    against = "against reference" if reference is None else f"against {reference}"
    return {
        "Test accuracy": accuracy,
        f"Drop {against}": _drop,
        f"Agreement with {reference or 'reference'}": _agreement,
        "Parameters": _parameters,
        "File size": _file_size,
        "p50 latency": latency,
        "Speed-up": speedup,
        "Memory": memory,
    }


def cell(scaled: Scaled | None, note: str = "") -> Cell:
    """A scaled number as a cell; an empty one where there is none."""
    return Cell() if scaled is None else Cell(scaled.text, scaled.bounds, note)


def accuracy(report: Report, fields: Fields) -> Cell:
    """Share of right answers on the test images."""
    found = facts.estimate(fields, "accuracy")
    return cell(percent(found) if found else None)


def _drop(report: Report, fields: Fields) -> Cell:
    found = facts.estimate(fields, "accuracy_drop")
    return cell(points(found) if found else None)


def _agreement(report: Report, fields: Fields) -> Cell:
    found = facts.estimate(fields, "agreement")
    return cell(percent(found) if found else None)


def _parameters(report: Report, fields: Fields) -> Cell:
    found = facts.number(fields, "parameters")
    return Cell() if found is None else Cell(count(found))


def _file_size(report: Report, fields: Fields) -> Cell:
    found = facts.number(fields, "size_bytes")
    return Cell() if found is None else Cell(size(found))


def latency(report: Report, fields: Fields) -> Cell:
    """Median time of one inference; emulated time is none."""
    found = None if facts.emulated(report) else facts.estimate(fields, "latency", "p50")
    return cell(seconds(found) if found else None)


def speedup(report: Report, fields: Fields) -> Cell:
    """Times faster than the reference, and whether the machine can tell."""
    found = None if facts.emulated(report) else facts.estimate(fields, "speedup")
    unsure = facts.dig(fields, "speedup", "resolvable") is False
    return cell(ratio(found) if found else None, "not resolvable" if unsure else "")


def memory(report: Report, fields: Fields) -> Cell:
    """What the model adds to the process, with the process's peak as a note."""
    model = facts.number(fields, "memory", "model_bytes")
    peak = facts.number(fields, "memory", "peak_bytes")
    if model is None:
        return Cell() if peak is None else Cell(size(peak), note="peak of the process")
    return Cell(size(model), note="" if peak is None else f"peak {size(peak)}")
