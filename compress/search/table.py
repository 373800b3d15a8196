"""The table of a search before training, as rows of text that a terminal shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.search.deployed import deployed_file
from compress.search.misses import open_words
from compress_bench.quantities import show

COLUMNS = (
    "candidate",
    "parameters",
    "size",
    "latency",
    "interval",
    "speed-up",
    "verdict",
    "misses",
)
TEXTS = ("candidate", "verdict", "misses")  # the other columns are of numbers
_UNKNOWN = "-"
_VERDICTS = {
    "pass": "may",
    "inconclusive": "may",
    "unmeasured": "may",
    "fail": "cannot",
}

Found = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network.

    Attributes:
        cells: a text for each of `COLUMNS`.
        kind: teacher, start, may, cannot or failed.
    """

    cells: tuple[str, ...]
    kind: str


def search_table(found: Found) -> list[Row]:
    """The teacher, then every candidate, the smallest first."""
    return [
        *_teacher(found["teacher"]),
        *(_row(c, found) for c in found["candidates"]),
    ]


def _teacher(teacher: Found) -> list[Row]:
    if teacher["size_bytes"] is None:
        return []
    said = (teacher["name"], _count(teacher["parameters"]), *_file(teacher))
    return [
        Row(cells=(*said, "1x" if teacher["latency"] else _UNKNOWN, "teacher", ""), kind="teacher")
    ]


def _row(candidate: Found, found: Found) -> Row:
    file = deployed_file(candidate, found["deployed_precision"])
    measured = (_UNKNOWN,) * 4 if file is None else (*_file(file), _ratio(file.get("speedup")))
    failed = candidate["state"] == "failed"
    verdict = "failed" if failed else _VERDICTS[candidate["screened"]]
    said = candidate["reason"] or open_words(candidate["goals"])
    cells = (candidate["name"], _count(candidate["parameters"]), *measured, verdict, said)
    return Row(cells=cells, kind="start" if candidate["name"] == found.get("start") else verdict)


def _file(file: Found) -> tuple[str, str, str]:
    """Size, median latency, and its interval."""
    latency = file["latency"]
    if not latency or latency["value"] is None:
        return show(file["size_bytes"], "size"), _UNKNOWN, _UNKNOWN
    middle = show(latency["value"], "time")
    return show(file["size_bytes"], "size"), middle, _between(latency)


def _between(latency: Found) -> str:
    if latency["low"] is None or latency["high"] is None:
        return _UNKNOWN
    return f"{show(latency['low'], 'time')} to {show(latency['high'], 'time')}"


def _ratio(speedup: Found | None) -> str:
    return show(speedup["value"], "ratio") if speedup and speedup["value"] else _UNKNOWN


def _count(parameters: int | None) -> str:
    return _UNKNOWN if parameters is None else f"{parameters:,}"


def columns(rows: Sequence[Row]) -> list[int]:
    """Indices of the columns in which any row says something."""
    return [
        index
        for index in range(len(COLUMNS))
        if any(row.cells[index] not in ("", _UNKNOWN) for row in rows)
    ]
