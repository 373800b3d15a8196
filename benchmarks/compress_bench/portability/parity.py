"""How far one machine's answers are from another's, and whether that is a fault.

Python 3.8 and numpy alone: the packed file holds a board's answers against the host's with it.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

import numpy as np

# Kernels of other cores add in another order, and may round a product's sum once or twice: an
# int8 output moves by a step, seldom by two. Measured: 2 at most on MobileNetV2, 0 on small ones.
MOST_STEPS = 2.0
WITHIN_ONE = 0.99
# Of forty values one alone is 2.5 %. Of fewer than a hundred, too many are those that chance
# explains in one of a hundred; from a hundred on, WITHIN_ONE holds to the letter.
CHANCE = 0.01
ENOUGH = 100
# float32 sums in another order differ by 1e-5 of the range; a kernel that is wrong by 1e-1.
FLOAT_SHARE = 1e-3
# float16 has 11 bits, and cores that know it add in it where others add in float32: measured 1.2e-3
# of the range on a small ResNet. Whoever compares such a file multiplies the limit.
HALF_TIMES = 10

_SLACK = 1e-3  # of a step: scales are float32, so that two steps are not exactly 2.0
_LEAST_SCORE = 1e-30  # below it float32 has few digits left

Parity = Dict[str, Any]


def compare(
    expected: Any,
    found: Any,
    step: Optional[float],
    labels_expected: Any = None,
    labels_found: Any = None,
    scores: bool = False,
) -> Parity:
    """Hold answers to the same images against each other.

    Args:
        expected: the reference's, float32 [N, C]; of a file that gives labels their scores [N].
        found: the other machine's, of the same shape.
        step: of the int8 logits, the scale of the last quantiser; None: a float file.
        labels_expected: int [N] of a file that gives labels, else None.
        labels_found: likewise.
        scores: whether [N, C] are scores; with a step they are held against each other as the
            logits that they come from, whose common shift a softmax takes away.

    Returns:
        n: images; values: numbers compared; max_abs: the largest difference; range: largest less
        smallest expected; max_steps: the largest difference in steps, None without a step;
        within_one: share of values that differ by a step at most, None likewise; limit: the
        largest difference that is no fault, None where steps decide; agreement: share of images
        with the same class, 0 to 1 (put None there where values are no classes); not_finite:
        values that only one side has as a number.

    Raises:
        ValueError: the shapes differ, or there is nothing to compare.
    """
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    if expected.shape != found.shape or expected.size == 0:
        raise ValueError("expected answers %s, found %s" % (expected.shape, found.shape))
    has_labels = labels_expected is not None
    usable = np.isfinite(expected) & np.isfinite(found)
    difference = np.where(usable, np.abs(_minus(expected, found)), 0.0)
    finite = expected[np.isfinite(expected)]
    extent = float(finite.max() - finite.min()) if finite.size else 0.0
    steps = None
    if step and not has_labels:
        steps = _score_steps(expected, found, step) if scores else difference / step
    limit = None
    if steps is None:
        # Two steps on the logits of two classes move the winner's score by tanh(step) at most.
        limit = math.tanh(step) if step else FLOAT_SHARE * (extent or float(np.abs(expected).max()))
    return {
        "n": len(expected),
        "values": int(expected.size),
        "max_abs": float(difference.max()),
        "range": extent,
        "max_steps": None if steps is None else round(float(steps.max()), 4),
        "within_one": None if steps is None else float((steps <= 1 + _SLACK).mean()),
        "limit": limit,
        "agreement": _agreement(expected, found, labels_expected, labels_found),
        "not_finite": int((np.isfinite(expected) != np.isfinite(found)).sum()),
    }


def judge(parity: Parity) -> List[str]:
    """What is wrong with it, a sentence each; nothing: the answers are the same.

    Values may differ by two steps of the output, and 99 % of them by one at most; where fewer than
    a hundred were compared, as many may differ by two as 1 % each would explain by chance.
    """
    problems = []
    if parity["not_finite"]:
        problems.append(
            "%d of %d values are a number on one machine and NaN or infinity on the other"
            % (parity["not_finite"], parity["values"])
        )
    if parity["max_steps"] is not None:
        problems += _judge_steps(parity)
    elif parity["max_abs"] > parity["limit"]:
        problems.append(
            "values differ by up to %.2g, expected at most %.2g (their range is %.3g)"
            % (parity["max_abs"], parity["limit"], parity["range"])
        )
    if parity["agreement"] is not None and parity["agreement"] < 1:
        missed = round((1 - parity["agreement"]) * parity["n"])
        problems.append("%d of %d images are given another class" % (missed, parity["n"]))
    return problems


def _judge_steps(parity: Parity) -> List[str]:
    problems = []
    if parity["max_steps"] > MOST_STEPS + _SLACK:
        problems.append(
            "values differ by up to %.3g output steps, expected at most %g"
            % (parity["max_steps"], MOST_STEPS)
        )
    values = parity["values"]
    beyond = round((1 - parity["within_one"]) * values)
    few = values < ENOUGH
    if _tail(beyond, values, 1 - WITHIN_ONE) < CHANCE if few else parity["within_one"] < WITHIN_ONE:
        problems.append(
            "%.1f %% of %d values are within one output step, expected %g %%"
            % (100 * parity["within_one"], values, 100 * WITHIN_ONE)
        )
    return problems


def _tail(count: int, trials: int, share: float) -> float:
    """How probable it is that as many of independent trials hit, or more: the binomial's tail."""
    below = 0.0
    logarithm = trials * math.log1p(-share)  # of the probability that `hits` do
    for hits in range(count):
        below += math.exp(logarithm)
        logarithm += math.log((trials - hits) / (hits + 1) * share / (1 - share))
    return 1 - below


def _minus(expected: Any, found: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return expected - found


def _score_steps(expected: Any, found: Any, step: float) -> Any:
    """Steps of the logits behind two softmaxes [N, C], under the shift of a row that suits best."""
    least = np.float64(_LEAST_SCORE)
    logs = [np.log(np.maximum(np.nan_to_num(side), least)) for side in (expected, found)]
    steps = (logs[0] - logs[1]) / step
    steps -= steps[:, :1]  # whole numbers now, but for a shift that is one too
    middle = (steps.max(axis=1, keepdims=True) + steps.min(axis=1, keepdims=True)) / 2
    return np.abs(steps - np.round(middle))


def _agreement(expected: Any, found: Any, labels_expected: Any, labels_found: Any) -> float:
    if labels_expected is None:
        labels_expected, labels_found = expected.argmax(axis=1), found.argmax(axis=1)
    return float(np.mean(np.asarray(labels_expected) == np.asarray(labels_found)))
