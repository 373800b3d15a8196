"""`compress report a.json b.json`: several reports side by side; a single one as it is."""

from collections.abc import Sequence

from rich.console import Console

from compress.errors import UsageError
from compress_bench.report import appendix, filling, page
from compress_bench.report.facts import Report
from compress_bench.report.machine_figures import machine_figures
from compress_bench.report.machines import cautions, machine_names, machine_tables
from compress_bench.report.markdown_view import escape, render_markdown, table_markdown
from compress_bench.report.reruns import reruns
from compress_bench.report.table import Table
from compress_bench.report.terminal import encodable, print_table, render_terminal
from compress_bench.report.verdict import MARKS, status, verdict


def render_comparison_terminal(reports: Sequence[Report], console: Console) -> None:
    """Print one table per measure, each machine's verdict, and what must be known."""
    if len(_some(reports)) == 1:
        render_terminal(reports[0], console)
        return
    with encodable(console):
        for title, table in machine_tables(reports):
            _heading(title, console)
            print_table(table, console)
        for rerun in reruns(reports):
            for heading, table in rerun.tables:
                if table.head == "Variant" or _has_notes(table):  # modules: only what changed
                    _heading(f"{rerun.title}: {heading}", console)
                    print_table(table, console)
        for line in (*_verdicts(reports), *_refusals(reports), *cautions(reports)):
            console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def render_comparison_markdown(reports: Sequence[Report]) -> str:
    """One table per measure, each machine's verdict, and what must be known."""
    if len(_some(reports)) == 1:
        return render_markdown(reports[0])
    blocks = [
        f"### {escape(title)}\n\n{table_markdown(table)}"
        for title, table in machine_tables(reports)
    ]
    blocks += [
        f"### {escape(rerun.title)}: {escape(heading)}\n\n{table_markdown(table)}"
        for rerun in reruns(reports)
        for heading, table in rerun.tables
    ]
    blocks.append("\n".join(f"- {escape(line)}" for line in _verdicts(reports)))
    said = (*_refusals(reports), *cautions(reports))
    return "\n\n".join((*blocks, *map(escape, said))) + "\n"


def render_comparison_html(reports: Sequence[Report]) -> str:
    """A page like a report's own, with one table per measure.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    if len(_some(reports)) == 1:
        return page.render_html(reports[0])
    names = machine_names(reports)
    return filling.fill_template(
        "machines.html.j2",
        {
            "machines": [
                (name, status(report), verdict(report))
                for name, report in zip(names, reports, strict=True)
            ],
            "tables": machine_tables(reports),
            "facts": [appendix.machine_facts(report) for report in reports],
            "pictures": filling.pictures_of(machine_figures, reports),
            "reruns": reruns(reports),
            "cautions": (*_refusals(reports), *cautions(reports)),
            "downloads": page.downloads(reports),
        },
    )


def _some(reports: Sequence[Report]) -> Sequence[Report]:
    if not reports:
        raise UsageError("compress report: expected at least one report.json, found none")
    return reports


def _heading(text: str, console: Console) -> None:
    wrapped = console.is_terminal
    console.print(text, style="bold", markup=False, highlight=False, soft_wrap=not wrapped)


def _has_notes(table: Table) -> bool:
    return any(cell.note for row in table.rows for cell in row.cells)


def _refusals(reports: Sequence[Report]) -> list[str]:
    """Why two reports of one machine are not compared."""
    return [f"{rerun.title}: {reason}." for rerun in reruns(reports) for reason in rerun.reasons]


def _verdicts(reports: Sequence[Report]) -> list[str]:
    names = machine_names(reports)
    pairs = zip(names, reports, strict=True)
    return [f"{name}: {MARKS[status(report)]}  {verdict(report)}" for name, report in pairs]
