"""One operator as onnxruntime's profile tells it, and the statistics of its time."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Interval, t_quantile

MICROSECOND = 1e-6


@dataclass(frozen=True)
class Value:
    """A tensor: its type ("float", "uint8", ...) and shape."""

    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ProfiledNode:
    """One operator of the graph that runs.

    Attributes:
        name: in that graph.
        operator: its type.
        microseconds: of each inference, whole ones; the profiler itself adds some.
        inputs: without weights that the kernel keeps in a form of its own.
        outputs: all of them.
        executions: how often it runs in one inference: more than once within a loop.
    """

    name: str
    operator: str
    microseconds: tuple[float, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    executions: int = 1

    @property
    def seconds(self) -> float:
        """Per inference: the mean of the middle half of the runs."""
        return middle_mean(np.asarray(self.microseconds)).value * MICROSECOND


def middle_mean(values: NDArray[np.float64]) -> Interval:
    """Mean of the middle half: outliers do not count, and yet it sees less than a microsecond.

    A profile counts whole microseconds, so that a median would be one of them. The interval is
    Student's on the winsorised variance; fewer than four values are not cut and bound nothing.

    Args:
        values: [runs], one at least.

    Source: K. K. Yuen, The two-sample trimmed t for unequal population variances, Biometrika 61
    (1974).
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    found = Interval(float(kept.mean()), -np.inf, np.inf)
    if cut == 0:
        return found
    drawn_in = np.clip(ordered, kept[0], kept[-1])
    squares = float(np.square(drawn_in - drawn_in.mean()).sum())
    error = float(np.sqrt(squares / (len(kept) * (len(kept) - 1))))
    half = t_quantile(0.5 + found.confidence / 2, len(kept) - 1) * error
    return replace(found, low=found.value - half, high=found.value + half)
