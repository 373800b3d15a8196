"""Views of report.json: terminal, Markdown, CSV, and one page that works offline.

JSON is the truth; nothing here measures or decides. `facts` reads the JSON, `format` scales its
numbers, `table` and `sentences` say them; `terminal`, `markdown_view` and `page` lay them out.
"""

from compress_bench.report.comparison import (
    render_comparison_html,
    render_comparison_markdown,
    render_comparison_terminal,
)
from compress_bench.report.files import load_report, write_comparison, write_report
from compress_bench.report.markdown_view import render_markdown
from compress_bench.report.page import render_html
from compress_bench.report.search_page import write_search
from compress_bench.report.terminal import render_search_terminal, render_terminal

__all__ = [
    "load_report",
    "render_comparison_html",
    "render_comparison_markdown",
    "render_comparison_terminal",
    "render_html",
    "render_markdown",
    "render_search_terminal",
    "render_terminal",
    "write_comparison",
    "write_report",
    "write_search",
]
