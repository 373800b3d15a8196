"""The outcome of a search in a terminal; one line a trial where a program reads."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from compress.distill.tuning.outcome import Outcome
from compress.distill.tuning.table import Table, trials_table

_STYLES = {"pruned": "dim", "failed": "red"}
_TEXTS = ("trial", "method", "end")  # the other columns are of numbers
_WIDE = ("teacher", "interval", "time")  # for which a terminal has no room


def render_terminal(outcome: Outcome, console: Console) -> None:
    """Print every trial, and what they say, to `console`."""
    table = trials_table(outcome)
    if console.is_terminal:
        _print_table(table, console)
    else:
        _print_lines(table, console)
    for sentence in outcome.sentences:
        console.print(Text(sentence), soft_wrap=not console.is_terminal)


def _print_table(table: Table, console: Console) -> None:
    """A table for each teacher, below its name where there are several."""
    kept = [name for name in table.columns if name not in _WIDE]
    for teacher in dict.fromkeys(row.teacher for row in table.rows):
        if "teacher" in table.columns:
            console.print(Text(teacher, style="bold"))
        found = RichTable(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
        for name in kept:
            found.add_column(name, justify="left" if name in _TEXTS else "right", no_wrap=True)
        for row in table.rows:
            if row.teacher == teacher:
                style = "bold green" if row.won else _STYLES.get(row.state, "")
                found.add_row(*(Text(row.cells[name]) for name in kept), style=style)
        console.print(found)
        console.print()


def _print_lines(table: Table, console: Console) -> None:
    """Columns apart by two spaces or more, however wide."""
    lines = [table.columns, *(tuple(row.cells.values()) for row in table.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        console.print(Text("  ".join(padded).rstrip()), soft_wrap=True)
