"""The README's table of the distillation methods, written from their files.

    python tests/method_table.py

rewrites what is between the two markers; a test fails where it is not this table.
"""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compress.distill.methods import MANY, Method, list_methods, load_method
from compress.distill.signals import Defaults

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- methods -->", "<!-- /methods -->"
COMMAND = "python tests/method_table.py"
_HEAD = (
    "`--method`",
    "what it does",
    "needs",
    f"weight / ce weight, settings: up to {MANY} classes",
    "more classes",
    "source",
)


def table() -> str:
    """A row for each file of compress/distill/losses, in Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(load_method(name)) for name in list_methods())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cut(readme: str) -> tuple[str, str, str]:
    """What is before the table, the table, and what is after it.

    Raises:
        ValueError: the markers are not there once each, in this order.
    """
    before, begin, rest = readme.partition(BEGIN)
    found, end, after = rest.partition(END)
    if not (begin and end) or readme.count(BEGIN) + readme.count(END) != 2:
        raise ValueError(
            f"{README.name}: expected {BEGIN} and {END} once each, in this order; put them where "
            f"the table belongs and run {COMMAND}"
        )
    return before, found.strip("\n"), after


def main() -> None:
    """Write the table where it belongs."""
    before, _, after = cut(README.read_text(encoding="utf-8"))
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def _row(method: Method) -> tuple[str, ...]:
    small, many = _defaults(method.small_data), _defaults(method.many_classes)
    return (
        f"`{method.name}`",
        method.summary.removesuffix("."),
        ", ".join(sorted(method.needs)) or "—",
        small,
        "the same" if many == small else many,
        _source(method.source),
    )


def _defaults(defaults: Defaults[Any]) -> str:
    """`1 / 1, temperature 4, beta 8, warm-up 8 %`."""
    settings = [f"{key} {value:g}" for key, value in asdict(defaults.settings).items()]
    warmup = [f"warm-up {defaults.warmup * 100:.0f} %"] if defaults.warmup else []
    return ", ".join([f"{defaults.weight:g} / {defaults.ce_weight:g}", *settings, *warmup])


def _source(source: str) -> str:
    """Authors and year, linked to the paper where it is on arXiv; else all that is said."""
    match = re.fullmatch(r"(.+? \d{4}), .+, arXiv (\d{4}\.\d{4,5})\.", source)
    return f"[{match[1]}](https://arxiv.org/abs/{match[2]})" if match else source


if __name__ == "__main__":
    main()
