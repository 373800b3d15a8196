"""How far a variant's confidence is from how often it is right, for the class that it names."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.statistics import Estimate

GOAL = GoalForm(bounds={"max": "share"}, needs_images=True)

BINS = 15
DRAWS = 2000
SEED = 0  # the same answers have the same interval


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`calibration_error` with its bins; None without images."""
    if evidence.images is None or not evidence.answered(variant):
        return {"calibration_error": None}
    found = _error(evidence, variant)
    bins = min(BINS, len(evidence.images.labels))
    return {"calibration_error": found.to_dict() | {"bins": bins}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Expected calibration error."""
    return _error(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """What to do when the goal is missed."""
    sure = float(evidence.answers[goal.variant].confidence.mean())
    right = float(evidence.right(goal.variant).mean())
    scale = "above 1" if sure > right else "below 1"
    return (
        f"it is sure at {100 * sure:.1f} % and right at {100 * right:.1f} % on average: divide "
        f"its logits by a temperature {scale} that is fitted on validation images; the "
        f"answers stay, and this gap of {100 * abs(sure - right):.1f} % is expected to go"
    )


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = BINS
) -> Estimate:
    """Mean over bins of |confidence - accuracy|, where bins hold equally many images.

    The value is too large by chance: a bin's accuracy is never quite its confidence. That is
    about 0.8 sqrt(bins p (1 - p) / N) for a file that is calibrated, 0.9 points for p = 0.9 and
    10,000 images, and less for one that is not. The interval makes up for it: it holds the errors
    that would give such a value in the middle 95 of 100 draws of the bins' means (the parametric
    bootstrap). For the lower bound the true gaps are taken in the proportion of those seen, less
    what chance adds to them; for the upper one as alike in all bins, where chance adds least, and
    no less than by how much accuracy and mean confidence of all images may differ. A file that is
    calibrated so has a lower bound of zero. Simulated coverage with gaps alike, rising, and in a
    quarter of the images only: 91 to 100 %, at 2,000 and 10,000 images.

    Args:
        confidence: of the class that was named, 0 to 1, float64 [N].
        right: whether it was the right one, bool [N].
        bins: how many.

    Source: Nguyen & O'Connor, Posterior calibration, EMNLP 2015, for bins of equal mass; Davison
    & Hinkley, Bootstrap methods, 1997, section 5.5, for limits by inverting tests.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = np.array([abs(confidence[part].mean() - right[part].mean()) for part in parts])
    shares = np.array([len(part) for part in parts]) / len(order)
    errors = np.array([_standard_error(confidence[part], right[part]) for part in parts])
    value = float(shares @ gaps)
    noise = errors * np.random.default_rng(SEED).standard_normal((DRAWS, len(parts)))
    beyond_chance = np.sqrt(np.maximum(gaps**2 - errors**2, 0))

    def error_at(shape: NDArray[np.float64], probability: float) -> float:
        """The error whose draws are below the value with a probability; zero if none is."""
        if not shape.any():
            return 0.0

        def excess(error: float) -> float:
            draws = np.abs(shape * (error / float(shares @ shape)) + noise) @ shares
            return float(np.quantile(draws, probability)) - value

        return _crossing(excess)

    low, high = error_at(beyond_chance, 0.975), error_at(np.ones(len(parts)), 0.025)
    return Estimate(value, min(low, value), max(high, value, _overall_gap(confidence, right)))


def _standard_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Of a bin's gap: the most of what it shows, what its confidence lets expect, and a floor.

    Of n images that are all right with a confidence of 1 the first two are 0. The floor is the
    variance of such a bin with two right and two wrong images more.

    Source: Agresti & Coull, Approximate is better than "exact", Am. Statist. 52 (1998).
    """
    expected = float((confidence * (1 - confidence)).mean())
    wrong = 2 / (len(right) + 4)
    variance = max(float(np.var(confidence - right)), expected, wrong * (1 - wrong))
    return math.sqrt(variance / len(right))


def _overall_gap(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The most by which all images together may be off; no bins can be off by less."""
    accuracy, sure = wilson(int(right.sum()), len(right)), float(confidence.mean())
    return max(sure - accuracy.low, accuracy.high - sure)


def _crossing(excess: Callable[[float], float]) -> float:
    """Where a growing function crosses zero between 0 and 1; 0 or 1 if it does not."""
    low, high = 0.0, 1.0
    if excess(low) >= 0:
        return low
    for _ in range(20):  # to a millionth
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def _error(evidence: Evidence, variant: str) -> Estimate:
    return calibration_error(evidence.answers[variant].confidence, evidence.right(variant))
