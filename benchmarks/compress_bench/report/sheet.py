"""Reports as CSV: a row per variant, unscaled, for spreadsheets and data frames.

Seconds, bytes and fractions as in the JSON; a column is called by its path there. What is a list
(raw samples, confusion, modules) stays in report.json.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.machines import machine_names

# Parts of a variant that are times, which an emulated machine does not have.
_TIMED = ("latency", "speedup", "throughput", "cpu", "energy", "cold_start", "paced", "sustained",
          "layers")  # fmt: skip
_WHY_NOT = tuple(f"{part}_reason" for part in _TIMED)
_CHECKED = ("core", "emulated", "status", "onnxruntime")
_SHARED = ("machine", "settings", "data", "resolution", "flags")


def report_csv(report: Report) -> str:
    """One report's variants."""
    return _table(list(_rows(report)))


def comparison_csv(reports: Sequence[Report]) -> str:
    """The variants of several reports, each report's number and machine in front."""
    names = machine_names(reports)
    rows: list[dict[str, Any]] = []
    for number, (name, report) in enumerate(zip(names, reports, strict=True), start=1):
        rows += [{"report": number, "name": name} | row for row in _rows(report)]
    return _table(rows)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every column that any row has, in the order of their first appearance."""
    found = list(dict.fromkeys(column for row in rows for column in row))
    # A null stands at "speedup" where others have "speedup.value".
    parents = {".".join(p[:i]) for p in (c.split(".") for c in found) for i in range(1, len(p))}
    columns = [column for column in found if column not in parents]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    shared = dict(_scalars({key: dig(report, key) for key in ("created_utc", "command")}, ""))
    shared["verdict.status"] = dig(report, "verdict", "status") or ""
    for part in _SHARED:
        shared |= dict(_scalars(dig(report, part), part))
    shared.pop("data.classes", None)  # a thousand names in every row
    for name, fields in facts.variants(report).items():
        hidden = (*_TIMED, *_WHY_NOT) if facts.emulated(report) else ()
        shown = {key: value for key, value in fields.items() if key not in (*hidden, "answers")}
        checked = dict(_checks(report, name))
        yield {"variant": name} | dict(_scalars(shown, "")) | checked | shared


def _checks(report: Report, name: str) -> Iterator[tuple[str, Any]]:
    """Each core's check of a variant, numbered."""
    for i, check in enumerate(facts.listed(report, "portability"), start=1):
        own = {key: dig(check, key) for key in _CHECKED}
        yield from _scalars(own, f"portability.{i}")
        found = dict(dig(check, "variants", name) or {})
        found["coverage"] = _without_lists(found.get("coverage"))
        yield from _scalars(found, f"portability.{i}.variant")


def _without_lists(coverage: Any) -> Any:
    """Operators left in float as one text: each network has others."""
    left = dig(coverage, "float_operators")
    if not isinstance(left, Mapping):
        return coverage
    return {**coverage, "float_operators": [f"{left[name]} {name}" for name in left]}


def _scalars(found: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Paths and values of all that is no list, and of lists of words as one text."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _scalars(value, f"{path}.{key}" if path else str(key))
    elif isinstance(found, list | tuple):
        if found and all(isinstance(value, str) for value in found):
            yield path, "; ".join(found)
    else:
        yield path, _plain(found)


def _plain(value: Any) -> Any:
    """As JSON writes it; nothing where it is null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
