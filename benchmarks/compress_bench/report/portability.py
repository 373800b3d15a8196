"""What a check of the files on one type of core found: a table a core, and sentences.

A real board's check of itself and an emulated core's have the same form. What an emulator counts
is called an estimate wherever it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compress_bench.pack.board.selfcheck import LEAST_AGREEMENT
from compress_bench.portability.parity import ENOUGH, MOST_STEPS, WITHIN_ONE
from compress_bench.report import facts
from compress_bench.report.facts import Fields, Report, dig
from compress_bench.report.format import Estimate, amount, count, percent
from compress_bench.report.table import Cell, Row, Table, without_empty
from compress_bench.report.verdict import MARKS

_COLUMNS = ("Check", "Output difference", "Same class", "Integer operators", "Instructions")
_LEAST = 1e-6  # share of the range below which a difference has no number
_REASONS = {
    "parity": "comparison of answers",
    "coverage": "count of integer operators",
    "instructions": "instructions",
}


@dataclass(frozen=True)
class CoreView:
    """One core's check.

    Attributes:
        title: the core, and whether it was emulated.
        status: pass, fail or skipped.
        said: what is wrong, or why nothing was checked; empty where all is well.
        table: a row a variant; None where no variant could be run.
    """

    title: str
    status: str
    said: tuple[str, ...]
    table: Table | None


def core_views(report: Report) -> tuple[CoreView, ...]:
    """Each core that the files were checked on, in the report's order."""
    checks = [check for check in facts.listed(report, "portability") if isinstance(check, dict)]
    return tuple(_view(report, check) for check in checks)


def _view(report: Report, check: Fields) -> CoreView:
    core, played = str(dig(check, "core") or "a core"), bool(dig(check, "emulated"))
    found = dig(check, "variants")
    named = {str(name): fields for name, fields in found.items()} if found else {}
    rows = tuple(
        Row(name, "", _cells(report, name, named[name], is_emulated=played))
        for name in _in_order(report, named)
    )
    table = without_empty(Table(_COLUMNS, rows, tuple(_caption(report, check, named))))
    return CoreView(
        title=f"Check on {core}{', emulated' if played else ''}",
        status=str(dig(check, "status") or "skipped"),
        said=tuple(_problems(check, named)),
        table=table if rows else None,
    )


def checked(report: Report, fields: Fields) -> Cell:
    """Of a variant's fields: the first check's mark and difference, as one cell."""
    name = next((n for n, found in facts.variants(report).items() if found is fields), "")
    for check in facts.listed(report, "portability"):
        found = dig(check, "variants", name)
        if dig(found, "status"):
            mark = MARKS.get(found["status"], str(found["status"])).lower()
            difference = _difference(found)
            return Cell(mark, note="" if difference.empty else difference.text)
    return Cell()


def _in_order(report: Report, named: dict[str, Any]) -> list[str]:
    """As the report's other tables have them."""
    known = [name for name in facts.variants(report) if name in named]
    return known + [name for name in named if name not in known]


def _cells(report: Report, name: str, fields: Fields, *, is_emulated: bool) -> tuple[Cell, ...]:
    status = str(dig(fields, "status") or "")
    agreement, images = (facts.number(fields, "parity", key) for key in ("agreement", "n"))
    if dig(fields, "agreement"):  # a packed file asks about every test image
        agreement, images = (facts.number(fields, "agreement", key) for key in ("share", "n"))
    counted = facts.number(fields, "instructions", "value")
    same = Cell()
    if agreement is not None:
        of = "" if images is None else f"of {count(images)}"
        same = Cell(percent(Estimate(agreement)).text, note=of)
    work = Cell()
    if counted is not None:
        work = Cell(amount(Estimate(counted)).text, note="estimate" if is_emulated else "")
    return (
        Cell(MARKS.get(status, status).lower()) if status else Cell(),
        _difference(fields),
        same,
        _coverage(fields, dig(facts.variants(report), name, "precision")),
        work,
    )


def _difference(fields: Fields) -> Cell:
    """In steps of the output where it has some, else as a share of its range."""
    steps = facts.number(fields, "parity", "max_steps")
    within = facts.number(fields, "parity", "within_one")
    if steps is not None:
        share = "" if within is None else f"{percent(Estimate(within)).text} within 1 step"
        return Cell(f"{steps:.3g} step{'' if steps == 1 else 's'}", note=share)
    most, extent = (facts.number(fields, "parity", key) for key in ("max_abs", "range"))
    if most is None or not extent:
        return Cell()
    if most == 0:
        return Cell("none")
    part = most / extent
    said = "below 0.0001" if part < _LEAST else f"{100 * part:.1g}"
    return Cell(f"{said} % of the range")


def _coverage(fields: Fields, precision: Any) -> Cell:
    """Operators that compute in integers, of those that compute; a float file has none."""
    whole, floating = (facts.number(fields, "coverage", key) for key in ("integer", "float"))
    if whole is None or floating is None or (whole == 0 and precision == "float32"):
        return Cell()
    left = dig(fields, "coverage", "float_operators") or {}
    named = ", ".join(f"{number} {operator}" for operator, number in left.items())
    return Cell(f"{whole:.0f} of {whole + floating:.0f}", note=f"float: {named}" if named else "")


def _problems(check: Fields, named: dict[str, Any]) -> Iterator[str]:
    if dig(check, "reason"):
        yield _sentence(str(dig(check, "reason")))
    for name, fields in named.items():
        for problem in facts.listed(fields, "problems"):
            yield _sentence(f"{name}: {problem}")


def _caption(report: Report, check: Fields, named: dict[str, Any]) -> Iterator[str]:
    """What the answers are held against, what instructions are, and why numbers are missing."""
    if dig(check, "reference"):
        yield _sentence(f"Answers are held against {dig(check, 'reference')}")
    if any(facts.number(fields, "parity", "max_steps") is not None for fields in named.values()):
        yield (
            f"Values may differ by {MOST_STEPS:g} steps of the output, and {100 * WITHIN_ONE:g} % "
            f"of them by one at most; of fewer than {ENOUGH}, what chance explains is let pass."
        )
    shares = [facts.number(fields, "agreement", "share") for fields in named.values()]
    if any(share is not None and share < 1 for share in shares):
        yield (
            f"Of all test images {100 * LEAST_AGREEMENT:g} % in the same class are wanted, as near "
            "ties may fall on either side; of golden outputs all."
        )
    sources = {dig(fields, "instructions", "source") for fields in named.values()} - {None}
    if sources and dig(check, "emulated"):
        batch = facts.number(report, "settings", "batch_size") or 1
        what = "one inference" if batch == 1 else f"a batch of {batch:.0f} images"
        yield (
            f"Instructions of {what}, counted by {', '.join(sorted(sources))}: an estimate "
            f"of the work on {dig(check, 'core')}, not a time."
        )
    for part, what in _REASONS.items():
        by_reason: dict[str, list[str]] = {}
        for name, fields in named.items():
            reason = dig(fields, f"{part}_reason")
            if reason and dig(fields, part) is None:
                by_reason.setdefault(str(reason), []).append(name)
        for reason, names in by_reason.items():
            yield _sentence(f"No {what} for {', '.join(names)}: {reason}")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
