"""The phases of a cold start, as far as a report tells them apart."""

from dataclasses import dataclass

from compress_bench.report import facts
from compress_bench.report.facts import Fields, Report
from compress_bench.report.format import Estimate

_PHASES = {
    "python_seconds": "Python",
    "import_numpy_seconds": "numpy",
    "import_runtime_seconds": "runtime",
    "session_seconds": "loading the model",
    "first_seconds": "first inference",
}


@dataclass(frozen=True)
class Start:
    """One variant's start.

    Attributes:
        phases: median seconds of each phase, by its name in words, in their order.
        total: seconds from start to first answer, or None.
        is_range: whether its bounds are the fastest and the slowest process, no interval.
    """

    phases: dict[str, float]
    total: Estimate | None
    is_range: bool = False

    @property
    def end(self) -> float:
        """Seconds at which the last mark stands."""
        found = self.total
        marks = [] if found is None else [b for b in (found.value, found.high) if b is not None]
        return max(sum(self.phases.values()), *marks) if marks else sum(self.phases.values())


def starts_of(report: Report) -> dict[str, Start]:
    """Starts by variant; only those with every phase, since the others would mislead.

    Where the system does not say when a process began, Python's own phase is missing in all.
    """
    found = {}
    for name in facts.variants(report):
        phases = _phases(facts.timed(report, name))
        if len({*phases, "Python"}) == len(_PHASES):
            total = facts.estimate(facts.timed(report, name), "cold_start", "total_seconds")
            is_range = facts.is_range(facts.timed(report, name), "cold_start", "total_seconds")
            found[name] = Start(phases, total, is_range)
    return found


def _phases(fields: Fields) -> dict[str, float]:
    values = ((words, facts.number(fields, "cold_start", key)) for key, words in _PHASES.items())
    return {words: value for words, value in values if value is not None}
