"""The file of a candidate that goals are about: which one it is, and what is known of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compress.search.goals import INT8, role
from compress_bench.metrics import Goal

Candidate = Mapping[str, Any]  # as a search's JSON has it


def precision_of(goals: Iterable[Goal]) -> str:
    """Of the file that goes to the board: int8 where a goal is set on it, else float32."""
    return "int8" if any(role(goal.variant) == INT8 for goal in goals) else "float32"


def deployed_file(candidate: Candidate, precision: str) -> Mapping[str, Any] | None:
    """What was measured of that file last: trained, else with random weights; None if nothing."""
    return next(_known(candidate, precision), None)


def size_of(candidate: Candidate, precision: str) -> float:
    """Its bytes; the number of weights where nothing was measured."""
    sizes = (file.get("size_bytes") for file in _known(candidate, precision))
    return float(next(filter(None, sizes), candidate["parameters"]))


def latency_of(candidate: Candidate, precision: str) -> float | None:
    """Its median seconds; None where it was not timed."""
    times = (file.get("latency") for file in _known(candidate, precision))
    found = next(filter(None, times), None)
    return None if found is None else float(found["value"])


def _known(candidate: Candidate, precision: str) -> Iterator[Mapping[str, Any]]:
    screened = (candidate.get("screening") or {}).get(precision)
    return filter(None, (candidate.get("deployed"), screened))
