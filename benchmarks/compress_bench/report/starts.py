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
        total: seconds from start to first answer, the fastest and slowest process as bounds; or
            None.
    """

    phases: dict[str, float]
    total: Estimate | None

    @property
    def ends(self) -> tuple[float, float]:
        """Seconds of the fastest and of the slowest process, or of the phases together."""
        together = sum(self.phases.values())
        if self.total is None:
            return together, together
        low = self.total.value if self.total.low is None else self.total.low
        high = self.total.value if self.total.high is None else self.total.high
        return low, max(high, together)


def starts_of(report: Report) -> dict[str, Start]:
    """Starts by variant; only those with every phase, since the others would mislead.

    Where the system does not say when a process began, Python's own phase is missing in all.
    """
    found = {}
    for name in facts.variants(report):
        phases = _phases(facts.timed(report, name))
        if len({*phases, "Python"}) == len(_PHASES):
            total = facts.estimate(facts.timed(report, name), "cold_start", "total_seconds")
            found[name] = Start(phases, total)
    return found


def _phases(fields: Fields) -> dict[str, float]:
    values = ((words, facts.number(fields, "cold_start", key)) for key, words in _PHASES.items())
    return {words: value for words, value in values if value is not None}
