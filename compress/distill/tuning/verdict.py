"""What the trials have come to: who won, by how much, and what each teacher's students reached."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compress.distill.tuning.outcome import Outcome, Taught
from compress.distill.tuning.record import Record
from compress.distill.tuning.sentences import sentences
from compress.distill.tuning.trial import best_of
from compress.errors import TrainingError
from compress.intervals import Interval, paired_difference, wilson


def conclude(record: Record, own_accuracies: Mapping[str, float]) -> Outcome:
    """What a finished search has found.

    Args:
        record: the trials, all over.
        own_accuracies: of the teachers on validation, fractions; of those that it is known of.

    Raises:
        TrainingError: no trial was trained to its end.
    """
    winner = best_of(record.trials)
    if winner is None:
        raise TrainingError(
            f"search: expected a trial that is trained to its end, found {len(record.trials)} that "
            f"failed; the last one: {record.trials[-1].reason}"
        )
    right = record.right(winner)
    first = record.of(winner.teacher)[0]
    measured = first is not winner and first.accuracy is not None
    outcome = Outcome(
        plan=record.plan,
        trials=tuple(record.trials),
        winner=winner,
        images=len(right),
        accuracy=wilson(int(right.sum()), len(right)),
        gain=_difference(right, record.right(first)) if measured else None,
        teachers=tuple(
            _taught(
                record, name, own_accuracies.get(name), None if name == winner.teacher else right
            )
            for name in record.plan.teachers
        ),
    )
    return replace(outcome, sentences=sentences(outcome))


def _taught(
    record: Record, name: str, own_accuracy: float | None, winner: NDArray[np.bool_] | None
) -> Taught:
    """What the students of a teacher have come to, beside the `winner` if that is another's."""
    trials = record.of(name)
    best = best_of(trials)
    right = None if best is None else record.right(best)
    return Taught(
        teacher=name,
        own_accuracy=own_accuracy,
        trials=len(trials),
        epochs=sum(trial.epochs for trial in trials),
        best=None if best is None else best.number,
        accuracy=None if right is None else wilson(int(right.sum()), len(right)),
        behind=None if right is None or winner is None else _difference(winner, right),
    )


def _difference(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Interval:
    """Accuracy of a less that of b over the same images; of these two trainings alone."""
    return paired_difference(a.astype(np.float64), b.astype(np.float64))
