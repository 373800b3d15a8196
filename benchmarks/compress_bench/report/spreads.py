"""The single inferences of each variant, with the percentiles that the report gives of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.report import facts
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate
from compress_bench.report.series import Series, by_variant

Samples = NDArray[np.float64]

_PERCENTILES = ("p50", "p90", "p99")
_FARTHEST = 4.0  # times the median: one pause of the machine shall not squeeze all else
_BODY = 0.995  # share of a variant's inferences that its row shows at least


@dataclass(frozen=True)
class Spread:
    """One variant's inferences.

    Attributes:
        name: of the variant.
        samples: seconds of each inference, all processes, float64 [n].
        copy: those of the reference's A/A copy, beside the reference; else empty.
        center: p50 in seconds.
        marks: percentiles by name, those that the report has.
        look: of the variant.
    """

    name: str
    samples: Samples
    copy: Samples
    center: float
    marks: dict[str, Estimate]
    look: Series

    @property
    def n(self) -> int:
        """Number of inferences."""
        return int(self.samples.size)

    def beyond(self, factor: float) -> int:
        """Number of inferences that took longer than so many times p50."""
        return int((self.samples > factor * self.center).sum())


def spreads_of(report: Report) -> list[Spread]:
    """Variants with single inferences and a p50; none on an emulated machine."""
    found = []
    for name, look in by_variant(report).items():
        fields = facts.timed(report, name)
        samples, p50 = _pooled(fields.get("samples_seconds")), facts.latency(report, name)
        if not samples.size or p50 is None or p50.value <= 0:
            continue
        marks = {key: facts.estimate(fields, "latency", key) for key in _PERCENTILES}
        is_reference = name == facts.reference(report)
        copied = facts.dig(report, "resolution", "samples_seconds") if is_reference else None
        known = {key: value for key, value in marks.items() if value is not None}
        found.append(Spread(name, samples, _pooled(copied), p50.value, known, look))
    return found


def _pooled(processes: Any) -> Samples:
    """All processes' samples as one row; what is no positive number is left out."""
    rows = processes if isinstance(processes, list) else []
    found = [np.asarray(row, dtype=np.float64) for row in rows if isinstance(row, list)]
    pooled = np.concatenate(found) if found else np.empty(0)
    return pooled[pooled > 0]


def reach(found: list[Spread]) -> tuple[float, float]:
    """Multiples of p50 between which every row shows its inferences."""
    lows = [float(spread.samples.min()) / spread.center for spread in found]
    highs = [_high(spread) / spread.center for spread in found]
    return max(min(lows) * 0.97, 0.25), min(max(highs) * 1.05, _FARTHEST)


def _high(spread: Spread) -> float:
    """The slowest inference or the farthest upper bound."""
    bounds = [mark.high or mark.value for mark in spread.marks.values()]
    return max(float(np.quantile(spread.samples, _BODY)), *bounds)
