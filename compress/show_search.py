"""What `compress suggest` found: a table and a recipe on a terminal, plain lines for programs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compress.errors import GoalMissedError
from compress.flags import Output
from compress.search.suggest import FOUND, RECIPE
from compress.search.table import COLUMNS, TEXTS, Row, columns, search_table
from compress.show import stdout, write_json_line

_STYLES = {"teacher": "bold", "start": "bold green", "cannot": "dim", "failed": "red"}


def finish_suggestion(found: Mapping[str, Any], out: Path | None, output: Output) -> None:
    """Show the candidates and the recipe to start from; end with 3 if none can meet the goals.

    Args:
        found: the content of search.json.
        out: where it was written; None: nowhere.
        output: what is shown.

    Raises:
        GoalMissedError: no candidate can meet the goals; says by how much.
    """
    if output.json:
        write_json_line(dict(found))
    elif not output.quiet:
        render(found, stdout())
        written = [out / FOUND, *([out / RECIPE] if found["start"] else [])] if out else []
        for path in written:
            sys.stdout.write(f"{path}\n")
    if found["start"] is None:
        why = "; ".join(item["sentence"] for item in found["distances"])
        raise GoalMissedError(f"no candidate can meet the goals, however it is trained: {why}")


def render(found: Mapping[str, Any], console: Console) -> None:
    """Print the table, what follows from it, and the recipe to start from."""
    rows = search_table(found)
    shown = columns(rows)
    if console.is_terminal:
        _print_table(rows, shown, console)
    else:
        _print_lines(rows, shown, console)
    console.print()
    for sentence in found["sentences"]:
        console.print(Text(sentence), soft_wrap=not console.is_terminal)
    for candidate in found["candidates"]:
        if candidate["name"] == found["start"]:
            console.print()
            console.print(Text(candidate["recipe"].rstrip()), soft_wrap=True)


def _print_table(rows: Sequence[Row], shown: Sequence[int], console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for index in shown:
        text = COLUMNS[index] in TEXTS
        wraps = COLUMNS[index] == "misses"
        table.add_column(COLUMNS[index], justify="left" if text else "right", no_wrap=not wraps)
    for row in rows:
        table.add_row(*(Text(row.cells[i]) for i in shown), style=_STYLES.get(row.kind, ""))
    console.print(table)


def _print_lines(rows: Sequence[Row], shown: Sequence[int], console: Console) -> None:
    """Columns apart by two spaces or more, however wide."""
    lines = [COLUMNS, *(row.cells for row in rows)]
    widths = {index: max(len(line[index]) for line in lines) for index in shown}
    for line in lines:
        padded = (line[index].ljust(widths[index]) for index in shown)
        console.print(Text("  ".join(padded).rstrip()), soft_wrap=True)
