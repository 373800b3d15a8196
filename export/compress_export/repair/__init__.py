"""What is done to an int8 network that costs more accuracy than it may, in order of cost.

A rung is a file of `rungs/`: its name is what `--repair` takes, its `TITLE` what people read, and
its functions `why_not` and `repair` are what the ladder calls.
"""

import importlib
from collections.abc import Sequence
from typing import Protocol

from compress.errors import UsageError
from compress.suggest import did_you_mean
from compress_export.repair.case import Attempt, Case, Looked

# From seconds to minutes; a new rung takes its place here.
RUNGS = ("range_method", "bias_correction", "equalization", "float_layers", "qat")
_TRAINED = ("qat",)
_SETS = {
    "all": RUNGS,
    "quick": tuple(name for name in RUNGS if name not in _TRAINED),
    "none": (),
}


class Rung(Protocol):
    """One way to repair an int8 network.

    Attributes:
        TITLE: what people read.
        BY_ACCURACY: whether its attempts are held against others by accuracy on validation, as
            where weights have learnt; the others by KL to float32, which is far less noisy.
    """

    TITLE: str
    BY_ACCURACY: bool

    def why_not(self, case: Case, found: Looked) -> str:
        """Why it has nothing to do here, as a sentence without its full stop; empty if it has."""

    def repair(self, case: Case, found: Looked) -> tuple[Attempt, str]:
        """A new attempt made from the best one so far, and what was done, in a phrase."""


def choose_rungs(setting: str) -> tuple[str, ...]:
    """The rungs that `--repair` means, in order of cost.

    Raises:
        UsageError: one that does not exist, or a set of them beside others.
    """
    if setting in _SETS:
        return _SETS[setting]
    asked = [name.strip().replace("-", "_") for name in setting.split(",")]
    for name in asked:
        if name in _SETS:
            raise UsageError(
                f"--repair {setting}: {name} stands alone; give steps by name: {', '.join(RUNGS)}"
            )
        if name not in RUNGS:
            raise UsageError(
                f"--repair {name}: no such step; {did_you_mean(name, (*_SETS, *RUNGS))}"
            )
    return _ordered(asked)


def _ordered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in RUNGS if name in names)


def load_rung(name: str) -> Rung:
    """The rung's own file; none of the others is imported."""
    rung: Rung = importlib.import_module(f"{__name__}.rungs.{name}")
    return rung
