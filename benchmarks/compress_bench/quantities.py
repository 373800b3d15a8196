"""Numbers with units: read from goals, shown to people. Inside, seconds, bytes and fractions."""

import math
import re
from typing import Literal

from compress.errors import UsageError
from compress.suggest import did_you_mean

Quantity = Literal["time", "size", "share", "points", "ratio", "rate", "count", "energy"]

UNITS: dict[Quantity, dict[str, float]] = {
    "time": {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
    "size": {
        "B": 1,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
    },
    "share": {"%": 0.01},
    "points": {"pt": 0.01},
    "ratio": {"x": 1.0},
    "rate": {"images/s": 1.0},
    "count": {"k": 1e3, "M": 1e6, "G": 1e9},
    "energy": {"nJ": 1e-9, "uJ": 1e-6, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0},
}
# Plain numbers are clear enough for these; "max = 5" of a time or a size is not.
_PLAIN: set[Quantity] = {"share", "ratio", "rate", "count"}
_EXAMPLES: dict[Quantity, str] = {
    "time": '"5 ms"',
    "size": '"200 kB"',
    "share": '"90 %"',
    "points": '"1 pt"',
    "ratio": "3",
    "rate": "100",
    "count": '"50 k"',
    "energy": '"2 mJ"',
}
# Keyboards have either; UNITS have the second.
_GREEK_MU, _MICRO = "\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}"
_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*")


def parse(written: object, quantity: Quantity, where: str, *, zero: bool = False) -> float:
    """A limit as goals write it, in seconds, bytes or a fraction.

    Args:
        written: "5 ms", "200 kB", "90 %", "1 pt", or a plain number where that is clear.
        quantity: what kind of number is expected.
        where: the place to name in an error.
        zero: whether a limit of zero makes sense.

    Raises:
        UsageError: not a number, no unit, an unknown unit, or a value that makes no sense.
    """
    number, unit = _split(written, quantity, where)
    unit = unit.replace(_GREEK_MU, _MICRO)
    if not unit and quantity in _PLAIN:
        value = number
    elif unit in UNITS[quantity]:
        value = number * UNITS[quantity][unit]
    elif quantity == "points" and unit == "%":
        raise UsageError(f'{where}: a drop is in points of accuracy; write "{number:g} pt"')
    else:
        hint = did_you_mean(unit, UNITS[quantity]) if unit else f"write {_EXAMPLES[quantity]}"
        raise UsageError(f"{where}: {written!r} has {_unit_found(unit)}; {hint}")
    if value < 0 or (value == 0 and not zero):
        least = "zero or a number above it" if zero else "a number above zero"
        raise UsageError(f"{where}: expected {least}, found {written!r}")
    if quantity in ("share", "points") and value > 1:
        plain = quantity == "share" and not unit and number <= 100
        meant = f'"{number:g} %"' if plain else _EXAMPLES[quantity]
        raise UsageError(f"{where}: expected at most 100 %, found {written!r}; write {meant}")
    return value


def _split(written: object, quantity: Quantity, where: str) -> tuple[float, str]:
    problem = UsageError(
        f"{where}: expected a number such as {_EXAMPLES[quantity]}, found {written!r}"
    )
    if isinstance(written, int | float) and not isinstance(written, bool):
        number, unit = float(written), ""
    else:
        match = _NUMBER_AND_UNIT.fullmatch(written) if isinstance(written, str) else None
        if match is None:
            raise problem
        try:
            number, unit = float(match[1]), match[2]
        except ValueError:
            raise problem from None
    if not math.isfinite(number):
        raise problem
    return number, unit


def _unit_found(unit: str) -> str:
    return f'the unknown unit "{unit}"' if unit else "no unit"


def show(value: float, quantity: Quantity) -> str:
    """The same number for people: three digits and the unit that fits its size."""
    if quantity == "time":
        return _scaled(value, {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9})
    if quantity == "size":
        return _scaled(value, {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1.0})
    if quantity == "energy":
        return _scaled(value, {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "nJ": 1e-9})
    plain = {
        "share": f"{value * 100:.1f} %",
        "points": f"{value * 100:.2f} pt",
        "ratio": f"{value:.3g}x",
        "rate": f"{value:,.0f} images/s",
        "count": f"{value:,.0f}",
    }
    return plain[quantity]


def _scaled(value: float, units: dict[str, float]) -> str:
    # 0.9995 of a unit is 1 of it in three digits, not 1000 of the next.
    unit, factor = next(
        ((u, f) for u, f in units.items() if abs(value) >= 0.9995 * f), list(units.items())[-1]
    )
    scaled = value / factor
    return f"{scaled:.0f} {unit}" if abs(scaled) >= 100 else f"{scaled:.3g} {unit}"
