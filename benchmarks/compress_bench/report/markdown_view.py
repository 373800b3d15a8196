"""The report as GitHub Markdown: for READMEs, pull requests and notes."""

import re
from collections.abc import Mapping

from compress_bench.report.facts import Report, dig
from compress_bench.report.portability import CoreView, core_views
from compress_bench.report.repair import climbed, repair_table
from compress_bench.report.search import reading, words
from compress_bench.report.search.reading import Content
from compress_bench.report.search.rows import groups
from compress_bench.report.sentences import all_sentences
from compress_bench.report.table import Table, build_table
from compress_bench.report.verdict import MARKS, goals, status, verdict

# What Markdown or HTML would read as markup; an underscore only at a word's edge.
_MARKUP = re.compile(r"[\\`*\[\]<>|~#&]|(?<!\w)_|_(?!\w)")


def render_markdown(report: Report) -> str:
    """Table, verdict with goal lines, and what the numbers say."""
    blocks = [table_markdown(build_table(report))]
    blocks += [_core(view) for view in core_views(report)]
    blocks.append(_verdict(report))
    blocks += [escape(sentence) for sentence in all_sentences(report)]
    found, repaired = dig(report, "search"), climbed(report)
    blocks += search_markdown(found) if isinstance(found, Mapping) else []
    blocks += (
        [] if repaired is None else ["**Repair of int8**", table_markdown(repair_table(repaired))]
    )
    return "\n\n".join(blocks) + "\n"


def search_markdown(content: Content) -> list[str]:
    """A search's outcome, its candidates, and the recipe to copy; who is folded is only named."""
    first, *more = words.said(content)
    blocks = ["  \n".join((f"**Search** {escape(first)}", *map(escape, more)))]
    for group in groups(content):
        title = f"**{escape(group.title)}**"
        names = ", ".join(escape(row.name) for row in group.table.rows)
        blocks += [f"{title}: {names}"] if group.folded else [title, table_markdown(group.table)]
    found = reading.best(content)
    if found is not None and found.recipe:
        fence = "`" * max(3, 1 + _longest_fence(found.recipe))
        blocks.append(f"Recipe of {escape(words.named(found))}:")
        blocks.append(f"{fence}yaml\n{found.recipe.rstrip()}\n{fence}")
    return blocks


def _longest_fence(text: str) -> int:
    return max((len(found) for found in re.findall("`+", text)), default=0)


def _core(view: CoreView) -> str:
    """Title and mark, what is wrong, and the table where there is one."""
    mark = escape(MARKS.get(view.status, view.status.upper()))
    said = "  \n".join((f"**{escape(view.title)}: {mark}**", *map(escape, view.said)))
    return said if view.table is None else f"{said}\n\n{table_markdown(view.table)}"


def table_markdown(table: Table) -> str:
    """One of our tables with its caption."""
    head = (table.head, *table.columns)
    lines = [_line(tuple(map(escape, head))), _line((":--", *("--:" for _ in table.columns)))]
    for row in table.rows:
        name = escape(row.name) + (f" ({escape(row.detail)})" if row.detail else "")
        lines.append(_line((name, *(escape(cell.full) for cell in row.cells))))
    caption = "  \n".join(escape(sentence) for sentence in table.caption)
    return "\n".join(lines) + (f"\n\n{caption}" if caption else "")


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _verdict(report: Report) -> str:
    lines = [f"**{MARKS[status(report)]}** {escape(verdict(report))}"]
    for goal in goals(report):
        remedy = f" {escape(goal.remedy)}" if goal.remedy and goal.status != "pass" else ""
        mark = MARKS.get(goal.status, goal.status)
        lines.append(f"- **{escape(mark)}** {escape(goal.sentence)}{remedy}")
    return lines[0] + ("\n\n" + "\n".join(lines[1:]) if lines[1:] else "")


def escape(text: str) -> str:
    """Text that shows as it is, on one line, in Markdown and in its tables."""
    flat = " ".join(text.split())
    return _MARKUP.sub(lambda found: _ESCAPES.get(found.group(), "\\" + found.group()), flat)


_ESCAPES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
