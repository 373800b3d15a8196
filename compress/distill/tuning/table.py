"""The table of all trials, as rows of text that the terminal and the page both show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compress.data.wording import duration_text
from compress.distill.tuning.outcome import Outcome
from compress.distill.tuning.trial import Trial
from compress.intervals import wilson

_UNKNOWN = "-"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A trial.

    Attributes:
        teacher: who taught it.
        cells: by column.
        state: complete, pruned or failed.
        won: whether it is the winner.
    """

    teacher: str
    cells: Mapping[str, str]
    state: str
    won: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """Column titles and a row a trial."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def trials_table(outcome: Outcome) -> Table:
    """Every trial; columns in which all trials would be alike are left out."""
    columns = _columns(outcome)
    rows = tuple(
        Row(
            teacher=trial.teacher,
            cells={name: cell(trial) for name, cell in columns.items()},
            state=trial.state,
            won=trial.number == outcome.winner.number,
        )
        for trial in outcome.trials
    )
    return Table(columns=tuple(columns), rows=rows)


def _columns(outcome: Outcome) -> dict[str, Callable[[Trial], str]]:
    tuned = outcome.plan.space.tuned
    found: dict[str, Callable[[Trial], str]] = {"trial": lambda trial: str(trial.number)}
    if len(outcome.teachers) > 1:
        found["teacher"] = lambda trial: trial.teacher
    if "method" in tuned:
        found["method"] = lambda trial: trial.settings.method
    if "temperature" in tuned:
        found["temperature"] = lambda trial: _number(trial.settings.temperature)
    if "kd_weight" in tuned or "method" in tuned:  # a method's own weight comes with it
        found["kd_weight"] = lambda trial: _number(trial.settings.kd_weight)
    if "ce_weight" in tuned or "method" in tuned:
        found["ce_weight"] = lambda trial: _number(trial.settings.ce_weight)
    found["epochs"] = lambda trial: str(trial.epochs)
    found["validation"] = _accuracy
    found["interval"] = lambda trial: _interval(trial, outcome.images)
    found["time"] = lambda trial: duration_text(trial.seconds)
    found["end"] = lambda trial: "won" if trial.number == outcome.winner.number else trial.end()
    return found


def _accuracy(trial: Trial) -> str:
    accuracy = trial.last_accuracy()
    return _UNKNOWN if accuracy is None else f"{100 * accuracy:.2f} %"


def _interval(trial: Trial, images: int) -> str:
    """Wilson's, where the trial is complete: the others were to become better still."""
    if trial.accuracy is None:
        return _UNKNOWN
    bounds = wilson(round(trial.accuracy * images), images)
    return f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:g}"
