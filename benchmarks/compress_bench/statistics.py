"""From raw samples to values with intervals; nothing here knows of files or processes' ways.

Two kinds of interval. Centres and ratios: Student's t on the log of one value per process, since
processes differ from each other more than inferences within one do. Percentiles: order
statistics of all samples, at ranks that the spread between processes moves apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compress.intervals import CONFIDENCE, Interval, paired_difference, t_interval

DECISION = 0.999  # confidence at which two variants are called different
DECISION_PROCESSES = 3  # with two, t at that confidence is 637: it decides nothing
ONE_PROCESS = "one process tells nothing about the spread between processes"
MARGIN = 0.02  # and the least difference worth the word

# Fewest samples for a percentile: the first n at which, 99 times in 100, at least two samples
# lie above it. Source: MLPerf LoadGen's early stopping, with one permitted outlier.
FLOORS = {50: 1, 90: 64, 95: 130, 99: 662}


@dataclass(frozen=True)
class Estimate:
    """A measured value and its bounds; a bound that could not be had is None, with the reason.

    Attributes:
        value: in the unit of what was measured; None where it could not be measured.
        low: lower bound.
        high: upper bound.
        confidence: coverage of [low, high], a fraction.
        reason: why a value or a bound is missing; empty otherwise.
    """

    value: float | None
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The form that report.json holds; the reason only where there is one."""
        fields: dict[str, Any] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
        }
        return fields | {"reason": self.reason} if self.reason else fields


def exact(value: float) -> Estimate:
    """What was counted, not sampled."""
    return Estimate(value, value, value, 1.0)


def missing(reason: str) -> Estimate:
    """What could not be measured, and why."""
    return Estimate(None, None, None, reason=reason)


def from_interval(interval: Interval, reason: str = "") -> Estimate:
    """An interval with its infinite or overflowing bounds as None."""
    low, high = _finite(interval.low), _finite(interval.high)
    why = reason if low is None or high is None else ""
    return Estimate(interval.value, low, high, interval.confidence, why)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def nearest_rank(samples: NDArray[np.float64], percent: int) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed."""
    rank = max(1, -(-percent * len(samples) // 100))  # rounded up, in whole numbers
    return float(np.partition(samples, rank - 1)[rank - 1])


def order_ranks(n: int, percent: int, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Ranks (from 1) of the two samples that bracket a percentile; 0 and n + 1: no such sample.

    The number of n independent samples below the percentile is binomial, whatever their
    distribution; each tail gets half of what the confidence leaves.
    """
    counts = np.arange(n + 1, dtype=np.float64)
    cumulative = special.bdtr(counts, n, percent / 100)  # P(at most k below)
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(cumulative, tail, side="right"))
    high = int(np.searchsorted(cumulative, 1 - tail, side="left")) + 1
    return low, high


def percentile(per_process: Sequence[NDArray[np.float64]], percent: int) -> Estimate:
    """Nearest rank of all samples, between two of them; nothing below the sample floor.

    The ranks of the bounds are the binomial ones for independent samples or, where processes
    differ by more than that, those of Student's t on the share of each process's samples up to
    the percentile: the wider on each side.

    Args:
        per_process: seconds of each inference, per process.
        percent: 50, 90, 95 or 99.

    Source: Woodruff, Confidence intervals for medians and other position measures, JASA 47
    (1952), with processes as clusters.
    """
    ordered = np.sort(np.concatenate(per_process))
    n, floor = len(ordered), FLOORS[percent]
    if n < floor:
        return missing(f"p{percent} needs at least {floor} samples, found {n}")
    value = nearest_rank(ordered, percent)
    if len(per_process) < 2:
        return Estimate(value, None, None, reason=ONE_PROCESS)
    shares = np.array([np.mean(samples <= value) for samples in per_process])
    spread = t_interval(shares)
    half = (spread.high - spread.low) / 2 * n
    low, high = order_ranks(n, percent)
    low = min(low, math.floor(percent / 100 * n - half))
    high = max(high, math.ceil(percent / 100 * n + half) + 1)
    bounded = low >= 1 and high <= n
    return Estimate(
        value,
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= n else None,
        reason="" if bounded else f"{n} samples of such unlike processes do not bound p{percent}",
    )


def geometric(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean of one positive value per process, with t on their logs."""
    logs = t_interval(np.log(np.asarray(values, dtype=np.float64)), confidence)
    return from_interval(_exponentials(logs), ONE_PROCESS)


def _exponentials(logs: Interval) -> Interval:
    with np.errstate(over="ignore"):
        value, low, high = (float(bound) for bound in np.exp([logs.value, logs.low, logs.high]))
    if not math.isfinite(logs.low):
        low = -math.inf  # unknown, not zero
    return Interval(value, low, high, logs.confidence)


# ---------------------------------------------------------------------------------- comparisons

Block = NDArray[np.float64]
Round = Mapping[str, Block]


def log_ratios(processes: Sequence[Sequence[Round]], over: str, under: str) -> NDArray[np.float64]:
    """Mean log(median of `over` / median of `under`) per process: [processes].

    Blocks are paired within their round, where both saw the same state of the machine.
    """
    return np.array(
        [
            np.mean([math.log(np.median(r[over]) / np.median(r[under])) for r in rounds])
            for rounds in processes
        ]
    )


def ratio(logs: NDArray[np.float64], confidence: float = CONFIDENCE) -> Estimate:
    """One ratio from log ratios [processes]: exp of their mean, with Student's t."""
    return from_interval(_exponentials(t_interval(logs, confidence)), ONE_PROCESS)


@dataclass(frozen=True)
class Resolution:
    """What the reference against its own copy shows: the machine's error of comparison.

    Attributes:
        ratio: of the two equal models, at the confidence of a decision.
        smallest_difference: least difference that may be declared, a fraction; or None.
        reason: why there is none.
    """

    ratio: Estimate
    smallest_difference: float | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The form that report.json holds."""
        fields = {
            "ratio_low": self.ratio.low,
            "ratio_high": self.ratio.high,
            "confidence": self.ratio.confidence,
            "smallest_difference": self.smallest_difference,
        }
        return fields | {"reason": self.reason} if self.reason else fields


def resolution(copy_logs: NDArray[np.float64]) -> Resolution:
    """From the log ratios of the reference and its copy: [processes]."""
    if len(copy_logs) < DECISION_PROCESSES:
        reason = (
            f"expected at least {DECISION_PROCESSES} processes to tell differences, "
            f"found {len(copy_logs)}; give --processes 5"
        )
        return Resolution(Estimate(None, None, None, DECISION), None, reason)
    found = ratio(copy_logs, DECISION)
    assert found.low is not None and found.high is not None
    return Resolution(found, max(MARGIN, 1 / found.low - 1, found.high - 1))


def is_resolvable(logs: NDArray[np.float64], control: Resolution) -> bool:
    """Whether a ratio is a difference: beyond margin, chance and what equal models show."""
    if control.ratio.low is None or control.ratio.high is None:
        return False  # too few processes, which the control says
    found = ratio(logs, DECISION)
    assert found.value is not None and found.low is not None and found.high is not None
    beyond_margin = abs(found.value - 1) > MARGIN
    beyond_chance = found.low > 1 or found.high < 1
    beyond_control = not control.ratio.low <= found.value <= control.ratio.high
    return beyond_margin and beyond_chance and beyond_control


def matched_difference(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> Estimate:
    """Accuracy of a minus accuracy of b on the same images, with a paired interval.

    Args:
        a_right: whether a is right, bool [N].
        b_right: whether b is right, bool [N].
    """
    return from_interval(paired_difference(a_right, b_right))
