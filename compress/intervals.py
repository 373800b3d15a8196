"""Intervals for proportions, paired differences and means, shared by training and bench.

Formulas live here once; every one names its source and its assumption.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95
UNBOUNDED = "one observation tells nothing about the spread"


@dataclass(frozen=True)
class Interval:
    """A value and the bounds that cover it with the stated confidence.

    Attributes:
        value: point estimate, in the unit of what was measured.
        low: lower bound.
        high: upper bound.
        confidence: coverage of [low, high], a fraction.
    """

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON holds: no infinity, but None with the reason."""
        bounded = math.isfinite(self.low) and math.isfinite(self.high)
        fields: dict[str, Any] = {
            "value": self.value,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "confidence": self.confidence,
        }
        return fields if bounded else fields | {"reason": UNBOUNDED}


def normal_quantile(probability: float) -> float:
    """The standard normal's quantile."""
    return float(special.ndtri(probability))


def t_quantile(probability: float, degrees: float) -> float:
    """Student's t quantile with `degrees` of freedom."""
    return float(special.stdtrit(degrees, probability))


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """A proportion's score interval.

    Args:
        successes: number of right answers.
        trials: number of answers, at least one.
        confidence: coverage wanted.

    Source: E. B. Wilson, Probable inference, JASA 22 (1927).
    """
    if trials < 1:
        raise ValueError(f"trials: expected at least 1, found {trials}")
    z2 = normal_quantile(0.5 + confidence / 2) ** 2
    p = successes / trials
    center = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = np.sqrt(z2 * (p * (1 - p) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    low = 0.0 if successes == 0 else float(center - half)
    high = 1.0 if successes == trials else float(center + half)
    return Interval(p, low, high, confidence)


def t_interval(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """The mean of independent values with Student's interval; infinite for a single value."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, float("-inf"), float("inf"), confidence)
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * error
    return Interval(mean, mean - half, mean + half, confidence)


def paired_difference(a: NDArray[Any], b: NDArray[Any], confidence: float = CONFIDENCE) -> Interval:
    """Mean of a - b over runs and images, where both had the same runs and the same images.

    Two things are sampled: images, and (with more than one row) training seeds. The variance of
    the mean has a part that the spread over seeds shows, with (seeds - 1) degrees of freedom, and
    one that the spread over images shows beyond it, with (images - 1); each is widened by its own
    Student quantile, and the half widths add as squares. So few seeds widen only what they share
    in. Simulated coverage of 95 % intervals is 95 to 99 % from two seeds on, whichever part
    prevails. A single seed's interval speaks of that one training run only.

    Of answers that are right or wrong, two imaginary images are added to what the images show:
    one that only a gets right in every run, and one that only b does. Without them two networks
    that agree on twenty images would be called equal with certainty. They move the bounds, not
    the value; the bounds stay within -1 and 1.

    Args:
        a: right (1) or wrong (0) per [seed, image], or any score.
        b: the same seeds and images for the other network.
        confidence: coverage wanted.

    Source: mean squares of the two-way layout, Cornfield & Tukey, Ann. Math. Stat. 27 (1956); the
    sum of squared half widths, W. G. Howe, JASA 69 (1974); the imaginary images, Bonett & Price,
    J. Educ. Behav. Stat. 37 (2012), with Student's quantile.
    """
    a, b = (np.atleast_2d(np.asarray(scores, dtype=np.float64)) for scores in (a, b))
    difference = a - b
    value = float(difference.mean())
    binary = bool(np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all())
    if difference.size < 2 and not binary:
        return Interval(value, -math.inf, math.inf, confidence)
    imaginary = np.tile([1.0, -1.0], (len(difference), 1 if binary else 0))  # [seeds, 2 or 0]
    seen = np.hstack([difference, imaginary])
    seed_means, image_means, center = difference.mean(axis=1), seen.mean(axis=0), seen.mean()
    residual = seen - seen.mean(axis=1)[:, None] - image_means + center
    by_seed = _half_width(seed_means, len(seed_means) - 1, confidence)
    by_image = _half_width(image_means, len(image_means) - 1, confidence)
    # What seeds and images explain neither alone is in both spreads; it is counted once.
    degrees = (len(seed_means) - 1) * (len(image_means) - 1)
    in_both = _half_width(residual.ravel(), degrees, confidence)
    squared = by_seed**2 + by_image**2 - min(in_both, by_image) ** 2
    half = max(float(np.sqrt(squared)), by_image)
    low, high = float(center) - half, float(center) + half
    if binary:
        low, high = max(low, -1.0), min(high, 1.0)
    return Interval(value, low, high, confidence)


def _half_width(values: NDArray[np.float64], degrees: int, confidence: float) -> float:
    """Student's half width for the mean of values with `degrees` of freedom; 0 if it has none."""
    if degrees < 1:
        return 0.0
    squares = float(np.square(values - values.mean()).sum())
    error = np.sqrt(squares / degrees / len(values))
    return t_quantile(0.5 + confidence / 2, degrees) * float(error)
