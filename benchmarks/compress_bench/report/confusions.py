"""Which classes a variant takes for which others, as shares of the true class."""

from dataclasses import dataclass

from compress_bench.report import facts
from compress_bench.report.facts import Report

_MOST_CLASSES = 16  # more cannot be read on a phone


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix as shares, cut to the classes that err most where there are many.

    Attributes:
        variant: whose answers.
        classes: names, in the order of rows and columns.
        shares: per true class (row), the share of answers per class (column); rows of a cut
            matrix need not add up to one.
        total: number of classes before the cut.
    """

    variant: str
    classes: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    total: int


def confusion_of(report: Report) -> Confusion | None:
    """The confusion of the variant for the board, else of the last one that has one."""
    counts = {
        name: _square(facts.listed(fields, "confusion"))
        for name, fields in facts.variants(report).items()
    }
    counts = {name: rows for name, rows in counts.items() if rows}
    if not counts:
        return None
    board = facts.deployed(report)
    name = board if board in counts else list(counts)[-1]
    return _cut(name, _names(report, len(counts[name])), counts[name])


def _square(rows: list[list[float]]) -> list[list[float]]:
    """The matrix, or nothing where it is not square."""
    return rows if all(isinstance(row, list) and len(row) == len(rows) for row in rows) else []


def _names(report: Report, number: int) -> list[str]:
    names = [str(name) for name in facts.listed(report, "data", "classes")]
    return names if len(names) == number else [str(i) for i in range(number)]


def _cut(variant: str, names: list[str], counts: list[list[float]]) -> Confusion:
    shares = [[cell / max(sum(row), 1) for cell in row] for row in counts]
    right = [row[i] for i, row in enumerate(shares)]
    worst = sorted(range(len(names)), key=lambda i: right[i])[:_MOST_CLASSES]
    kept = sorted(worst)
    return Confusion(
        variant=variant,
        classes=tuple(names[i] for i in kept),
        shares=tuple(tuple(shares[i][j] for j in kept) for i in kept),
        total=len(names),
    )


def worst_pairs(confusion: Confusion, most: int = 6) -> list[tuple[str, str, float]]:
    """True class, answer and share of the most frequent errors, most frequent first."""
    pairs = [
        (confusion.classes[i], confusion.classes[j], share)
        for i, row in enumerate(confusion.shares)
        for j, share in enumerate(row)
        if i != j and share > 0
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]
