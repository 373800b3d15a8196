"""What a search has found, in the form that JSON holds and every view reads."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.artifacts import header, read_json, write_json
from compress.distill.tuning.record import plan_fields
from compress.distill.tuning.space import Space, TrialSettings
from compress.distill.tuning.trial import Plan, Trial, trial_from
from compress.errors import ArtifactError
from compress.intervals import Interval

TUNING = "tuning.json"
_KIND = "tuning"


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What the students of one teacher have come to.

    Attributes:
        teacher: who.
        own_accuracy: the teacher's own on validation, a fraction; None where it is not known.
        trials: students that it taught.
        epochs: that they took.
        best: number of the trial that is most often right; None where none was complete.
        accuracy: of that trial on validation, with Wilson's interval.
        behind: the winner's accuracy less that trial's, paired over the images; None for the
            winner's own teacher, and where no trial was complete.
    """

    teacher: str
    own_accuracy: float | None
    trials: int
    epochs: int
    best: int | None
    accuracy: Interval | None
    behind: Interval | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a search has found.

    Attributes:
        plan: what was searched, for how long.
        trials: all of them, by number.
        winner: the complete trial that is most often right on validation.
        images: of the validation split, as far as they have labels.
        accuracy: the winner's on them, with Wilson's interval.
        gain: the winner's accuracy less that of its teacher's first trial, which has the settings
            that were given or are the method's own; paired over the images. None where the first
            one wins, or was not complete.
        teachers: in the order given.
        sentences: what this says.
    """

    plan: Plan
    trials: tuple[Trial, ...]
    winner: Trial
    images: int
    accuracy: Interval
    gain: Interval | None
    teachers: tuple[Taught, ...]
    sentences: tuple[str, ...] = ()

    def first(self) -> Trial:
        """The trial of the winner's teacher that has the settings that the search began with."""
        return next(trial for trial in self.trials if trial.teacher == self.winner.teacher)

    def epochs(self) -> int:
        """Student epochs that all trials have taken."""
        return sum(trial.epochs for trial in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON holds."""
        return {
            "plan": plan_fields(self.plan),
            "epochs": {"budget": self.plan.budget, "used": self.epochs()},
            "images": self.images,
            "trials": [trial.to_dict() for trial in self.trials],
            "winner": self.winner.number,
            "accuracy": self.accuracy.to_dict(),
            "gain": None if self.gain is None else self.gain.to_dict(),
            "teachers": [_taught_fields(taught) for taught in self.teachers],
            "sentences": list(self.sentences),
        }


def write_outcome(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Write tuning.json, and return what it holds."""
    content = header(_KIND) | outcome.to_dict()
    content["versions"]["optuna"] = metadata.version("optuna")
    write_json(folder / TUNING, content)
    return content


def read_outcome(folder: Path) -> Outcome:
    """Read tuning.json.

    Raises:
        ArtifactError: missing, damaged, or of another schema.
    """
    content = read_json(folder / TUNING, kind=_KIND)
    try:
        trials = tuple(trial_from(fields) for fields in content["trials"])
        return Outcome(
            plan=_plan_from(content["plan"]),
            trials=trials,
            winner=trials[content["winner"] - 1],
            images=content["images"],
            accuracy=_interval(content["accuracy"]),
            gain=_interval_where_known(content["gain"]),
            teachers=tuple(_taught_from(fields) for fields in content["teachers"]),
            sentences=tuple(content["sentences"]),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ArtifactError(
            f"{folder / TUNING}: not the outcome of a search ({error}); give --force to search anew"
        ) from error


def _plan_from(fields: Mapping[str, Any]) -> Plan:
    starts: Sequence[Mapping[str, Any]] = fields["starts"]
    return Plan(
        space=Space(
            tuned=tuple(fields["tuned"]),
            starts=tuple(TrialSettings(**start) for start in starts),
        ),
        teachers=tuple(fields["teachers"]),
        epochs=fields["epochs"],
        budget=fields["budget"],
        warmup=fields["warmup"],
        seed=fields["seed"],
    )


def _taught_fields(taught: Taught) -> dict[str, Any]:
    known = {"accuracy": taught.accuracy, "behind": taught.behind}
    return asdict(taught) | {key: found and found.to_dict() for key, found in known.items()}


def _taught_from(fields: Mapping[str, Any]) -> Taught:
    known = {key: _interval_where_known(fields[key]) for key in ("accuracy", "behind")}
    return Taught(**{**fields, **known})


def _interval_where_known(fields: Mapping[str, Any] | None) -> Interval | None:
    return None if fields is None else _interval(fields)


def _interval(fields: Mapping[str, Any]) -> Interval:
    return Interval(fields["value"], fields["low"], fields["high"], fields["confidence"])
