"""Figures of the page: one file each, found by its name.

A file has `POSITION` (its place on the page), `applies(report) -> bool` (whether the report holds
what it draws) and `draw(report) -> Drawing`. To add a figure, add a file.
"""

import importlib
from pathlib import Path
from types import ModuleType

from compress_bench.report.facts import Report


def figure_names() -> tuple[str, ...]:
    """Names of the files in this folder, without importing them."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(file.stem for file in files if not file.stem.startswith("_")))


def load_figure(name: str) -> ModuleType:
    """Import one figure's file."""
    return importlib.import_module(f"{__name__}.{name}")


def figures_for(report: Report) -> dict[str, ModuleType]:
    """The figures that this report has the numbers for, in the order of the page."""
    loaded = {name: load_figure(name) for name in figure_names()}
    fitting = {name: figure for name, figure in loaded.items() if figure.applies(report)}
    return dict(sorted(fitting.items(), key=lambda item: item[1].POSITION))
