"""Why a number or its interval is not there, for all variants of one reason at once."""

from collections.abc import Callable
from typing import Any

from compress_bench.report import facts
from compress_bench.report.facts import Fields, Report, dig


def absences(report: Report, what: str, *path: str) -> tuple[str, ...]:
    """A sentence for each reason why variants have no such number.

    Args:
        report: of which variants.
        what: the number's name in a sentence.
        path: where it would stand in a variant's fields.
    """
    return _sentences(report, what, lambda fields: _why_none(fields, path))


def unbounded(report: Report, what: str, *path: str) -> tuple[str, ...]:
    """A sentence for each reason why variants have such a number without an interval."""
    return _sentences(
        report, f"interval of {what}", lambda fields: _why_unbounded(dig(fields, *path))
    )


def _why_none(fields: Fields, path: tuple[str, ...]) -> str:
    """The reason beside a null, or the one inside of an estimate without a value."""
    found = dig(fields, *path)
    if found is None:
        return str(dig(fields, *path[:-1], f"{path[-1]}_reason") or "")
    return "" if dig(found, "value") is not None else str(dig(found, "reason") or "")


def _why_unbounded(found: Any) -> str:
    bounded = None not in (dig(found, "low"), dig(found, "high"))
    return "" if bounded or dig(found, "value") is None else str(dig(found, "reason") or "")


def _sentences(report: Report, what: str, why: Callable[[Fields], str]) -> tuple[str, ...]:
    by_reason: dict[str, list[str]] = {}
    for name, fields in facts.variants(report).items():
        reason = why(fields)
        if reason:
            by_reason.setdefault(reason.strip().rstrip("."), []).append(name)
    every = len(facts.variants(report))
    return tuple(
        f"No {what}{'' if len(names) == every else f' for {_listed(names)}'}: {reason}."
        for reason, names in by_reason.items()
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names)
