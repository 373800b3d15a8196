"""The report in a terminal: table, verdict, and what the numbers say.

A wide terminal shows one row per variant; a narrow one turns the table, so that 80 columns hold
it whole; a pipe gets one line per variant and no decoration.
"""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from compress_bench.report.facts import Report, dig
from compress_bench.report.portability import CoreView, core_views
from compress_bench.report.search import words
from compress_bench.report.search.reading import Content
from compress_bench.report.search.rows import terminal_table
from compress_bench.report.sentences import all_sentences
from compress_bench.report.table import Row, Table, build_table
from compress_bench.report.verdict import MARKS, Goal, goals, status, verdict

_STYLES = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
# For terminals that cannot show them.
_ASCII = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{GREEK SMALL LETTER MU}": "u",
    }
)


def render_terminal(report: Report, console: Console) -> None:
    """Print table, verdict and sentences to `console`."""
    with encodable(console):
        print_table(build_table(report), console)
        for view in core_views(report):
            _print_core(view, console)
        _say(console, Text())
        _say(console, _verdict_line(report))
        _print_goals(goals(report), console)
        sentences = all_sentences(report)
        if sentences:
            _say(console, Text())
        for sentence in sentences:
            _say(console, Text(sentence))
        found = dig(report, "search")
        if isinstance(found, Mapping):
            _say(console, Text())
            _print_search(found, console)


def render_search_terminal(content: Content, console: Console) -> None:
    """Print a search to `console`: what came of it, and the candidates that there is room for."""
    with encodable(console):
        _print_search(content, console)


def _print_search(content: Content, console: Console) -> None:
    for sentence in words.said(content):
        _say(console, Text(sentence))
    table, more = terminal_table(content)
    if table.rows:
        _say(console, Text())
        print_table(table, console)
    if more:
        _say(console, Text(more, style="dim"))


@contextmanager
def encodable(console: Console) -> Iterator[None]:
    """Let what is printed inside reach a console that cannot show all of it."""
    with console.capture() as captured:
        yield
    text = captured.get()
    if not console.encoding.lower().startswith("utf"):
        text = text.translate(_ASCII)
        text = text.encode(console.encoding, "replace").decode(console.encoding)
    console.file.write(text)


def _print_core(view: CoreView, console: Console) -> None:
    """Title and mark, what is wrong, and the table where there is one."""
    _say(console, Text())
    mark = Text(MARKS.get(view.status, view.status.upper()), style=_STYLES.get(view.status, "bold"))
    _say(console, Text.assemble((view.title, "bold"), "  ", mark))
    for sentence in view.said:
        _say(console, Text(sentence))
    if view.table is not None:
        print_table(view.table, console)


def _verdict_line(report: Report) -> Text:
    found = status(report)
    return Text.assemble((MARKS[found], _STYLES.get(found, "bold")), "  ", verdict(report))


def _print_goals(lines: tuple[Goal, ...], console: Console) -> None:
    """Mark and sentence on a hanging indent, the remedy below where the goal is not met."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for goal in lines:
        mark = Text(MARKS.get(goal.status, goal.status), style=_STYLES.get(goal.status, ""))
        parts = (goal.sentence, goal.remedy if goal.status != "pass" else "")
        if console.is_terminal:
            grid.add_row(Text("  ") + mark, _stacked(tuple(part for part in parts if part)))
        else:
            _say(console, Text.assemble("  ", mark, "  ", " ".join(parts).rstrip()))
    if console.is_terminal and lines:
        console.print(grid)


def print_table(table: Table, console: Console) -> None:
    """Print one of our tables in the layout that fits the console."""
    if not console.is_terminal:
        _print_piped(table, console)
    else:
        _print_fitting(table, console)
        _say(console, Text())
    for sentence in table.caption:
        _say(console, Text(sentence, style="dim"))


def _print_fitting(table: Table, console: Console) -> None:
    wide = _wide(table)
    if _width(wide, console) <= console.width:
        console.print(wide)
        return
    for i, rows in enumerate(_chunks(table, console)):
        if i:
            console.print()
        console.print(_turned(table, rows))


def _wide(table: Table) -> RichTable:
    """One row per variant, intervals below their numbers."""
    found = RichTable(box=None, padding=(0, 2, 1, 0), header_style="bold", pad_edge=False)
    found.add_column(table.head, no_wrap=True)
    for column in table.columns:
        found.add_column(_short(column), justify="right", no_wrap=True)
    for row in table.rows:
        cells = [_stacked(cell.lines) for cell in row.cells]
        found.add_row(_stacked((row.name, *filter(None, (row.detail,)))), *cells)
    return found


def _chunks(table: Table, console: Console) -> list[tuple[Row, ...]]:
    """As many variants side by side as the width holds; all alone where nothing else does."""
    for size in range(len(table.rows), 1, -1):
        groups = [table.rows[i : i + size] for i in range(0, len(table.rows), size)]
        if max(_width(_turned(table, rows), console) for rows in groups) <= console.width:
            return groups
    return [(row,) for row in table.rows]


def _turned(table: Table, rows: tuple[Row, ...]) -> RichTable:
    """One column per variant, for narrow terminals."""
    found = RichTable(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    found.add_column("")
    for row in rows:
        name = _stacked((row.name, *filter(None, row.detail.split(", "))))
        found.add_column(name, justify="right", no_wrap=True)
    for i, column in enumerate(table.columns):
        found.add_row(_short(column), *(_stacked(row.cells[i].lines) for row in rows))
    return found


def _width(renderable: RenderableType, console: Console) -> int:
    """Columns that something takes where it is not squeezed."""
    roomy = console.options.update(max_width=10_000)
    return Measurement.get(console, roomy, renderable).maximum


def _short(title: str) -> str:
    """A column's title on several lines."""
    return textwrap.fill(title, 15, break_long_words=False)


def _stacked(lines: tuple[str, ...]) -> Text:
    """The first line plain, the others dim."""
    return Text("\n").join(
        Text(line, style="" if i == 0 else "dim") for i, line in enumerate(lines)
    )


def _print_piped(table: Table, console: Console) -> None:
    """One line per variant, columns apart by two spaces or more, however wide."""
    lines = [(table.head.lower(), *table.columns)]
    lines += [(row.name, *(cell.full for cell in row.cells)) for row in table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        _say(console, Text("  ".join(padded).rstrip()))


def _say(console: Console, text: Text) -> None:
    """A line, wrapped at words on a terminal, never in a pipe."""
    console.print(text, soft_wrap=not console.is_terminal)
