"""From raw samples to values with intervals; nothing here knows of files or processes' ways.

What is sampled is the process: processes differ from each other more than inferences within one
do, and the inferences of one are not independent. So every interval is Student's t with one
value per process, and takes at least five of them. Two kinds. Centres and ratios: t on the logs.
Percentiles: order statistics of all samples, at the two ranks that t on each process's share of
samples below puts around the percentile's.

What the intervals of p50 (`geometric` of the processes' medians) and p90 (`percentile`) cover,
at 95 %, in 2,000 simulated trials each; tests/test_bench_coverage.py says what was simulated and
what the true values are, and prints this table when it is run as a program:

    processes x rounds x block    5 x 10 x 5   7 x 10 x 5  7 x 10 x 40   7 x 20 x 5
    log-normal                    94.7, 96.2   94.5, 96.3   94.2, 95.8   94.8, 95.8
    a neighbour a fifth of time   95.8, 96.2   95.9, 96.5   95.5, 95.5   95.0, 95.3
    10 % drift within a process   95.8, 96.0   94.8, 96.4   94.2, 95.8   94.2, 94.7
    processes 1 % apart           94.6, 95.9   94.3, 96.2   95.2, 96.0   94.0, 95.9
    processes 5 % apart           94.2, 95.0   96.0, 94.0   95.8, 94.5   94.4, 93.8
    all of it, 2 % apart          95.2, 95.8   95.8, 97.0   95.9, 95.3   94.3, 96.0

One case stays below: a neighbour that is busy in about a tenth of the time puts p90 on the edge
between two speeds, and a few long bursts tell little of how often bursts come. With bursts of 10
inferences p90's intervals cover 90 to 93 %, with bursts of 30 they cover 84 to 90 %. Those of p95
and p99 cover 91 to 97 % in the table's cases, the least where processes differ by 5 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compress.intervals import CONFIDENCE, Interval, paired_difference, t_interval, wilson

INTERVAL_PROCESSES = 5  # fewest for an interval; with two, t at 95 % is 12.7 and at 99.9 % 637
DECISION = 0.999  # confidence at which two variants are called different
MARGIN = 0.02  # and the least difference worth the word

# Fewest samples for a percentile: the first n at which, 99 times in 100, at least two samples
# lie above it. Source: MLPerf LoadGen's early stopping, with one permitted outlier.
FLOORS = {50: 1, 90: 64, 95: 130, 99: 662}

Declared = Literal["faster", "slower", "no difference can be told"]


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
    """A percentile of all samples, between two of them; nothing below the sample floor.

    What it estimates: the value that `percent` of all inferences do not exceed, where a process
    is drawn at random and then one of its inferences. Every process has the same weight, also
    one that was cut short.

    The bounds: each process's share of samples up to the percentile is one value; Student's t
    bounds their mean; the samples at those two shares bound the percentile.

    Args:
        per_process: seconds of each inference, per process.
        percent: 50, 90, 95 or 99.

    Source: Woodruff, Confidence intervals for medians and other position measures, JASA 47
    (1952), with processes as clusters.
    """
    n, floor, share = sum(map(len, per_process)), FLOORS[percent], percent / 100
    if n < floor:
        return missing(f"p{percent} needs at least {floor} samples, found {n}")
    ordered, below, up_to = _cumulative(per_process)
    value = float(ordered[np.searchsorted(up_to, share - _ROUNDING)])
    if len(per_process) < INTERVAL_PROCESSES:
        return Estimate(value, None, None, reason=too_few(len(per_process)))
    shares = t_interval(np.array([np.mean(samples <= value) for samples in per_process]))
    half = (shares.high - shares.low) / 2
    low = share - half if share - half >= up_to[0] else None
    high = share + half if share + half <= below[-1] else None
    bounded = low is not None and high is not None
    return Estimate(
        value,
        None if low is None else min(float(np.interp(low, up_to, ordered)), value),
        None if high is None else max(float(np.interp(high, below, ordered)), value),
        reason="" if bounded else f"{n} samples of such unlike processes do not bound p{percent}",
    )


_ROUNDING = 1e-9  # of a sum of a million shares


def _cumulative(
    per_process: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """All samples ascending, the share of samples before each, and with it; each float64 [n]."""
    samples = np.concatenate(per_process)
    weights = np.concatenate([np.full(len(s), 1 / len(s)) for s in per_process])
    order = np.argsort(samples, kind="stable")
    up_to = np.cumsum(weights[order]) / len(per_process)
    return samples[order], up_to - weights[order] / len(per_process), up_to


def too_few(processes: int) -> str:
    """Why there is no interval."""
    return (
        f"an interval takes at least {INTERVAL_PROCESSES} fresh processes, found {processes}; "
        f"give --processes {INTERVAL_PROCESSES}"
    )


def geometric(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean of one positive value per process, with t on their logs.

    What it estimates: the geometric mean, over all processes that could have been started, of
    that value; of medians, of what the median of a long process would be. The sample median of
    a short one strays from that by less than its spread; the coverage above includes it.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    return _from_logs(logs, confidence)


def _from_logs(logs: NDArray[np.float64], confidence: float) -> Estimate:
    if len(logs) < INTERVAL_PROCESSES:
        value = math.exp(float(logs.mean()))
        return Estimate(value, None, None, confidence, too_few(len(logs)))
    found = t_interval(logs, confidence)
    with np.errstate(over="ignore"):
        value, low, high = (float(bound) for bound in np.exp([found.value, found.low, found.high]))
    low = low or -math.inf  # too small for a float: unknown, not zero
    return from_interval(Interval(value, low, high, confidence), "the processes are too unlike")


# ---------------------------------------------------------------------------------- comparisons

Block = NDArray[np.float64]
Round = Mapping[str, Block]


def log_ratios(processes: Sequence[Sequence[Round]], over: str, under: str) -> NDArray[np.float64]:
    """Median over rounds of log(median of `over` / median of `under`) per process: [processes].

    Blocks are paired within their round, where both saw the same state of the machine. What hits
    one block of a pair moves that round, and the median over rounds hardly: on a virtual machine
    processes of two equal files then differ half as much as by the mean over rounds.
    """
    return np.array(
        [
            np.median([math.log(np.median(r[over]) / np.median(r[under])) for r in rounds])
            for rounds in processes
        ]
    )


def ratio(logs: NDArray[np.float64], confidence: float = CONFIDENCE) -> Estimate:
    """One ratio from log ratios [processes]: exp of their mean, with Student's t.

    What it estimates: the geometric mean, over processes, of the median ratio of block medians.
    """
    return _from_logs(logs, confidence)


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
    """From the log ratios of the reference and its copy: [processes].

    Equal models may be found apart by anything up to the farther bound, in either direction.
    """
    found = ratio(copy_logs, DECISION)
    if found.low is None or found.high is None:
        return Resolution(found, None, found.reason)
    return Resolution(found, max(MARGIN, 1 / found.low - 1, found.high - 1))


def declared(logs: NDArray[np.float64], control: Resolution) -> Declared:
    """Which of two variants is faster, where that can be told.

    Three conditions: chance alone would not do it in 99.9 of 100 cases, the difference is
    beyond the margin, and it is beyond what the reference and its own copy show.

    Args:
        logs: log ratios of the other's time over this variant's, [processes].
        control: of the same processes.
    """
    if control.smallest_difference is None:
        return "no difference can be told"
    found = ratio(logs, DECISION)
    if found.low is None or found.high is None:
        return "no difference can be told"
    least = 1 + control.smallest_difference
    assert found.value is not None
    if found.low > 1 and found.value > least:
        return "faster"
    if found.high < 1 and found.value < 1 / least:
        return "slower"
    return "no difference can be told"


def matched_difference(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> Estimate:
    """Accuracy of a minus accuracy of b on the same images, with a paired interval.

    Args:
        a_right: whether a is right, bool [N].
        b_right: whether b is right, bool [N].
    """
    return from_interval(paired_difference(a_right, b_right))


# --------------------------------------------------------------------------- independent samples


def independent_ratio(over: Estimate, under: Estimate) -> Estimate:
    """Ratio of two positive values of one confidence that were measured apart.

    Source: the square-and-add method, Zou & Donner, Statist. Med. 27 (2008), on the logs.
    """
    assert over.value is not None and under.value is not None
    value = over.value / under.value
    if not (over.low and over.high and under.low and under.high):
        return Estimate(value, None, None, over.confidence, over.reason or under.reason)
    down = math.hypot(math.log(over.value / over.low), math.log(under.high / under.value))
    up = math.hypot(math.log(over.high / over.value), math.log(under.value / under.low))
    return Estimate(value, value * math.exp(-down), value * math.exp(up), over.confidence)


def independent_difference(first: tuple[int, int], second: tuple[int, int]) -> Estimate:
    """Difference of two proportions, each (successes, trials), of other images.

    Source: R. G. Newcombe, Interval estimation for the difference between independent
    proportions, Statist. Med. 17 (1998), method 10.
    """
    a, b = wilson(*first), wilson(*second)
    value = a.value - b.value
    down = math.hypot(a.value - a.low, b.high - b.value)
    up = math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, value - down, value + up)


def scaled(ratio: Estimate, unit: float) -> Estimate:
    """A ratio times what it is a ratio to."""
    assert ratio.value is not None
    low, high = (None if bound is None else bound * unit for bound in (ratio.low, ratio.high))
    return Estimate(ratio.value * unit, low, high, ratio.confidence, ratio.reason)
