"""Seconds, bytes and fractions scaled for people; the only place where that happens.

JSON holds seconds, bytes and fractions. What a person reads has a unit, three significant
digits, and its interval in brackets with the same unit and decimals.
"""

import math
from dataclasses import dataclass

DASH = "\N{EM DASH}"  # stands where nothing was measured
TO = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

_TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("\N{GREEK SMALL LETTER MU}s", 1e-6), ("ns", 1e-9))
_JOULE_UNITS = (("J", 1.0), ("mJ", 1e-3), ("\N{GREEK SMALL LETTER MU}J", 1e-6))
_COUNT_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
_BYTE_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))  # decimal, as goals write them


@dataclass(frozen=True)
class Estimate:
    """A measured number and, where known, the bounds of its interval.

    Attributes:
        value: point estimate, in the unit of what was measured.
        low: lower bound, or None where there is no finite interval.
        high: upper bound, or None likewise.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scaled:
    """A number as people read it.

    Attributes:
        text: value with its unit, "3.41 ms".
        bounds: the interval in the same unit, "3.38-3.44" with an en dash, or "".
    """

    text: str
    bounds: str = ""

    @property
    def full(self) -> str:
        """Value, and the interval in brackets where there is one."""
        return f"{self.text} ({self.bounds})" if self.bounds else self.text


def seconds(estimate: Estimate) -> Scaled:
    """A duration in s, ms, us (with the Greek letter) or ns."""
    unit, length = _unit(estimate.value, _TIME_UNITS)
    return _scaled(estimate, 1 / length, f" {unit}", _decimals(estimate.value / length))


def size(size_bytes: float) -> str:
    """Bytes in B, kB, MB or GB of powers of ten."""
    unit, factor = _unit(size_bytes, _BYTE_UNITS)
    decimals = 0 if unit == "B" else _decimals(size_bytes / factor)
    return f"{size_bytes / factor:.{decimals}f} {unit}"


def percent(estimate: Estimate) -> Scaled:
    """A fraction between 0 and 1 as a percentage with one decimal."""
    return _scaled(estimate, 100.0, " %", 1)


def points(estimate: Estimate, *, signed: bool = False) -> Scaled:
    """A difference of two fractions in percentage points with one decimal."""
    scaled = _scaled(estimate, 100.0, " points", 1)
    plus = "+" if signed and round(estimate.value * 100, 1) > 0 else ""
    return Scaled(plus + scaled.text, scaled.bounds)


def ratio(estimate: Estimate) -> Scaled:
    """A factor such as a speed-up, "11.4x" with the multiplication sign."""
    return _scaled(estimate, 1.0, TIMES, _decimals(estimate.value))


def energy(estimate: Estimate) -> Scaled:
    """Joules in J, mJ or uJ (with the Greek letter)."""
    unit, joules = _unit(estimate.value, _JOULE_UNITS)
    return _scaled(estimate, 1 / joules, f" {unit}", _decimals(estimate.value / joules))


def amount(estimate: Estimate) -> Scaled:
    """A large number such as of instructions, in G, M or k."""
    unit, factor = _unit(estimate.value, _COUNT_UNITS)
    decimals = _decimals(estimate.value / factor) if unit else 0
    return _scaled(estimate, 1 / factor, f" {unit}".rstrip(), decimals)


def count(number: float) -> str:
    """A whole number with thousands set apart."""
    return f"{round(number):,}"


def _unit(value: float, units: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    """The largest unit that leaves at least 1 in front, after rounding to three digits."""
    rounded = abs(float(f"{value:.3g}"))
    descending = sorted(units, key=lambda unit: -unit[1])
    if rounded == 0:
        return next(unit for unit in units if unit[1] == 1.0)
    return next((unit for unit in descending if rounded >= unit[1]), descending[-1])


def _decimals(value: float) -> int:
    """Decimals that show three significant digits of a number of 1 or more."""
    rounded = abs(float(f"{value:.3g}"))
    if rounded >= 100:
        return 0
    return 1 if rounded >= 10 else 2


def _scaled(estimate: Estimate, factor: float, unit: str, decimals: int) -> Scaled:
    text = f"{_number(estimate.value * factor, decimals)}{unit}"
    low, high = estimate.low, estimate.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return Scaled(text)
    between = " to " if low < 0 else TO  # a dash beside a minus sign cannot be read
    bounds = (_number(bound * factor, decimals) for bound in (low, high))
    return Scaled(text, between.join(bounds))


def _number(value: float, decimals: int) -> str:
    """Fixed decimals, and never "-0.0"."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def short_seconds(value: float) -> str:
    """A duration on an axis: no more digits than it has."""
    unit, length = _unit(value, _TIME_UNITS)
    return f"{value / length:.3g} {unit}"


def short_size(size_bytes: float) -> str:
    """Bytes on an axis: no more digits than they have."""
    unit, factor = _unit(size_bytes, _BYTE_UNITS)
    return f"{size_bytes / factor:.3g} {unit}"
