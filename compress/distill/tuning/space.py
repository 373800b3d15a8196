"""What a trial may be trained with: the settings of each method, and the ranges that are searched.

All numbers are searched on a logarithmic scale. The weight of a loss is searched as a factor of the
method's own, from a tenth to ten times, so that methods of different scales share what one of them
shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compress.errors import UsageError

Point = Mapping[str, str | float]  # what optuna asked for, by the names below
METHOD, TEMPERATURE, FACTOR, CE_WEIGHT = "method", "temperature", "kd_weight_factor", "ce_weight"
_RANGES = {TEMPERATURE: (1.0, 10.0), FACTOR: (0.1, 10.0), CE_WEIGHT: (0.01, 1.0)}
_FLAGS = {TEMPERATURE: "temperature", FACTOR: "kd_weight", CE_WEIGHT: "ce_weight"}


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What a student is taught with.

    Attributes:
        method: name of the distillation loss.
        temperature: its T; None where it knows none.
        kd_weight: of the loss in the sum.
        ce_weight: of the cross-entropy with the labels; 0 where there are none.
    """

    method: str
    temperature: float | None
    kd_weight: float
    ce_weight: float

    def sentence(self) -> str:
        """In words: `kd, temperature 4, kd_weight 0.9, ce_weight 0.1`."""
        heat = () if self.temperature is None else (f"temperature {self.temperature:g}",)
        weights = f"kd_weight {self.kd_weight:g}", f"ce_weight {self.ce_weight:g}"
        return ", ".join((self.method, *heat, *weights))


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is searched.

    Attributes:
        tuned: names from --tune.
        starts: the settings of each method as given, or its own; the first one's trial is first.
    """

    tuned: tuple[str, ...]
    starts: tuple[TrialSettings, ...]

    def start(self, method: str) -> TrialSettings:
        """The settings that `method` begins with."""
        return next(start for start in self.starts if start.method == method)

    def methods(self) -> tuple[str, ...]:
        """The candidates, in their order."""
        return tuple(start.method for start in self.starts)

    def numbers(self, method: str) -> tuple[str, ...]:
        """The names in a point of `method` that stand for numbers."""
        start = self.start(method)
        has = {
            TEMPERATURE: start.temperature is not None,
            FACTOR: True,
            CE_WEIGHT: start.ce_weight > 0,  # a method without labels stays without
        }
        return tuple(name for name, flag in _FLAGS.items() if has[name] and flag in self.tuned)

    def bounds(self, name: str) -> tuple[float, float]:
        """The range of a number, which holds every start."""
        low, high = _RANGES[name]
        begun = [self.start_point(start).get(name, low) for start in self.starts]
        values = [float(value) for value in begun]
        return min(low, *values), max(high, *values)

    def start_point(self, start: TrialSettings) -> Point:
        """Where a method begins, as a point."""
        values = {TEMPERATURE: start.temperature, FACTOR: 1.0, CE_WEIGHT: start.ce_weight}
        numbers = {name: float(values[name] or 0.0) for name in self.numbers(start.method)}
        return {METHOD: start.method, **numbers}

    def settings_at(self, point: Point) -> TrialSettings:
        """What a trial at `point` is trained with; what is not searched stays at its start.

        Numbers have three digits, so that what a table shows is what was trained with.
        """
        start = self.start(str(point[METHOD]))
        factor = float(point.get(FACTOR, 1.0))
        return TrialSettings(
            method=start.method,
            temperature=float(point[TEMPERATURE]) if TEMPERATURE in point else start.temperature,
            kd_weight=start.kd_weight if factor == 1 else three_digits(start.kd_weight * factor),
            ce_weight=float(point.get(CE_WEIGHT, start.ce_weight)),
        )


def three_digits(value: float) -> float:
    """A number with three significant digits."""
    return float(f"{value:.3g}")


def plan_space(tuned: Iterable[str], starts: Iterable[TrialSettings]) -> Space:
    """What is searched, once it is known that something can be.

    Raises:
        UsageError: a setting that no candidate has, or candidates that nobody asked to compare.
    """
    space = Space(tuned=tuple(tuned), starts=tuple(starts))
    names = space.methods()
    listed = " and ".join(names)
    if len(names) > 1 and METHOD not in space.tuned:
        raise UsageError(
            f"--tune {','.join(space.tuned)}: expected a single method, found {listed}; with "
            f"--tune {','.join((*space.tuned, METHOD))} they are candidates"
        )
    if len(names) == 1 and METHOD in space.tuned:
        raise UsageError(
            f"--tune {METHOD}: expected two methods or more that fit, found {listed}; name the "
            "candidates with --method, or leave it out"
        )
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--method {name}: expected each candidate once, found it twice")
    _refuse_unsearchable(space, listed)
    return space


def _refuse_unsearchable(space: Space, listed: str) -> None:
    """Every number that is to be searched must be there, and not 0, in some candidate."""
    starts = space.starts
    if TEMPERATURE in space.tuned and all(start.temperature is None for start in starts):
        raise UsageError(
            f"--tune {TEMPERATURE}: expected a method that has one, found {listed}; leave it out"
        )
    if CE_WEIGHT in space.tuned and not any(start.ce_weight for start in starts):
        raise UsageError(
            f"--tune {CE_WEIGHT}: expected a weight of the labels to begin with, found 0; leave it "
            "out, or give --ce-weight"
        )
    if not all(start.kd_weight for start in starts):
        raise UsageError(
            f"--tune {','.join(space.tuned)}: expected a --kd-weight above 0, found 0; without a "
            "teacher there is nothing to search for"
        )
