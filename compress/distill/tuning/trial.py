"""A search and its trials: what is asked for, and what each has come to."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.distill.tuning.space import Point, Space, TrialSettings

State = Literal["running", "complete", "pruned", "failed"]
REDUCTION = 3  # of the trials at a rung, one in three goes on to the next, which is thrice as far
_RUNGS = 2  # at about a ninth and a third of a training, or later

# Given the validation accuracy after each epoch so far, from the first on: whether to train on.
# Asked twice about the same epochs, as after a restart, it answers the same.
KeepGoing = Callable[[Sequence[float]], bool]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search.

    Attributes:
        space: what is searched.
        teachers: the candidates; each has an equal share of the budget and trials of its own.
        epochs: of a full training, under whose schedule every trial is trained.
        budget: student epochs over all trials.
        warmup: share of a training in which the learning rate rises.
        seed: of what is asked for; the same for every teacher, so that the first questions are too.
    """

    space: Space
    teachers: tuple[str, ...]
    epochs: int
    budget: int
    warmup: float
    seed: int

    def share(self) -> int:
        """Student epochs of each teacher."""
        return self.budget // len(self.teachers)

    def rungs(self) -> tuple[int, ...]:
        """The epochs after which trials are compared and the weaker ones end.

        None lies in the warm-up: while the rate is low, a large weight of the loss is ahead because
        it makes larger steps. Measured on small students, accuracy after an epoch of warm-up went
        with the weight (rank correlation 0.6), and against the accuracy at the end (-0.45).
        """
        risen = math.ceil(self.warmup * self.epochs)
        first = max(1, risen, round(self.epochs / REDUCTION**_RUNGS))
        rungs = (first * REDUCTION**k for k in range(_RUNGS))
        return tuple(epoch for epoch in rungs if epoch < self.epochs)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One student of the search.

    Attributes:
        number: from 1, over all teachers.
        teacher: who teaches it.
        point: what optuna asked for.
        settings: what that means.
        state: complete: trained to the end, which alone can win; pruned: ended at a rung; failed:
            it diverged.
        accuracies: on validation after each epoch, fractions.
        epochs: that its training has taken of the budget.
        accuracy: on validation of the weights that are kept; None unless it is complete.
        seconds: that its training took.
        reason: why it failed.
    """

    number: int
    teacher: str
    point: Point
    settings: TrialSettings
    state: State = "running"
    accuracies: tuple[float, ...] = ()
    epochs: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    reason: str | None = None

    def end(self) -> str:
        """The state in a word for people."""
        return "stopped" if self.state == "pruned" else self.state

    def last_accuracy(self) -> float | None:
        """On validation: at the end, or after the last epoch that there was."""
        if self.accuracy is not None:
            return self.accuracy
        return self.accuracies[-1] if self.accuracies else None

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON holds."""
        return asdict(self) | {"point": dict(self.point), "accuracies": list(self.accuracies)}


def trial_from(fields: Mapping[str, Any]) -> Trial:
    """A trial from the form that JSON holds."""
    settings = TrialSettings(**fields["settings"])
    return Trial(**{**fields, "settings": settings, "accuracies": tuple(fields["accuracies"])})


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be trained.

    Attributes:
        trial: which student; its teacher and settings.
        folder: for its training state; what is there already is gone on with. Removed once the
            trial is over and cannot win any more.
    """

    trial: Trial
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training that went to its end has come to.

    Attributes:
        accuracies: on validation after each epoch, fractions.
        right: bool [N]: which validation images the kept weights name rightly.
    """

    accuracies: Sequence[float]
    right: NDArray[np.bool_]


# Trains a student under the full schedule and asks after each epoch whether to go on; gives None
# where it was told not to. Never looks at test. Raises TrainingError where training diverges.
TrialRunner = Callable[[Task, KeepGoing], Trained | None]


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial that is most often right on validation; the earliest of equals."""
    complete = [trial for trial in trials if trial.accuracy is not None]
    return max(complete, key=lambda trial: (trial.accuracy, -trial.number), default=None)
