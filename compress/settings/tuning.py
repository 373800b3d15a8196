"""Which settings are searched for on validation, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass

from cyclopts import Parameter

from compress.errors import UsageError
from compress.settings.expect import expect
from compress.suggest import did_you_mean

TUNABLE = ("temperature", "kd_weight", "ce_weight", "method")
# Epochs of so many full trainings for each teacher, where the user names no budget: about fifteen
# trials. On simulated learning curves of two settings a search then ends 0.6 points below the best
# there is, with half of it 3 points, and the settings that it begins with 6 points.
_TRAININGS = 6


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Which settings are searched for on validation, and for how long.

    Attributes:
        tune: Search for the best of these on validation: temperature, kd_weight, ce_weight, method,
            apart by commas. Several teachers, and methods with method, are then candidates.
        tune_epochs: Student epochs that all trials may take together [6 times --epochs for each
            teacher].
    """

    tune: str | None = None
    tune_epochs: int | None = None

    def check(self) -> None:
        """Refuse names that cannot be searched for, and a budget of nothing.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        names = self.names()
        for name in names:
            if name not in TUNABLE:
                raise UsageError(f"--tune {name}: no such setting; {did_you_mean(name, TUNABLE)}")
            if names.count(name) > 1:
                raise UsageError(
                    f"--tune {self.tune}: expected each setting once, found {name} twice"
                )
        epochs = self.tune_epochs
        expect("tune_epochs", epochs, epochs is None or epochs >= 1, "1 or more")
        if epochs is not None and not names:
            raise UsageError(
                f"--tune-epochs {epochs}: expected --tune as well, found no setting to search for; "
                "name some, as in --tune temperature,kd_weight"
            )

    def names(self) -> tuple[str, ...]:
        """The settings that are searched for, spelled as in recipes; none without --tune."""
        if self.tune is None:
            return ()
        return tuple(name.strip().replace("-", "_") for name in self.tune.split(","))

    def epochs(self, epochs: int) -> int:
        """Student epochs of a search with one teacher, of trainings of `epochs`; 0 without one."""
        if not self.names():
            return 0
        return self.tune_epochs or _TRAININGS * epochs

    def budget(self, epochs: int, teachers: Sequence[str]) -> int:
        """Student epochs over all trials.

        Args:
            epochs: of one full training.
            teachers: the candidates, each of which needs at least one.

        Raises:
            UsageError: the budget is smaller than that, or a teacher is named twice.
        """
        for name in teachers:
            if teachers.count(name) > 1:
                raise UsageError(f"--teacher {name}: expected each candidate once, found it twice")
        least = len(teachers) * epochs
        budget = _TRAININGS * least if self.tune_epochs is None else self.tune_epochs
        if budget < least:
            raise UsageError(
                f"--tune-epochs {budget}: expected {least} or more, which is one full training of "
                f"--epochs {epochs} for each of {len(teachers)} teachers, found {budget}"
            )
        return budget
