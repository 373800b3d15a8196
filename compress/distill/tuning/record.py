"""The trials on disk, so that a search that was killed goes on where it was.

tuning/trials.json   every trial, rewritten after each epoch of the one that runs
tuning/trial-7/      the training state of the one that runs, and of the best so far
tuning/trial-7.npz   which validation images a trial that was trained to its end names rightly
"""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import SCHEMA, read_json, write_json, write_with
from compress.distill.tuning.trial import Plan, Trial, best_of, trial_from
from compress.errors import ArtifactError

TRIALS = "trials.json"
_KIND = "tuning trials"


@dataclass
class Record:
    """The trials of a search, in memory and on disk.

    Attributes:
        folder: where.
        plan: the search.
        writes: whether this process writes; of several that train together, the first does.
        trials: so far, by number.
    """

    folder: Path
    plan: Plan
    writes: bool = True
    trials: list[Trial] = field(default_factory=list)

    def of(self, teacher: str) -> list[Trial]:
        """A teacher's trials, in their order."""
        return [trial for trial in self.trials if trial.teacher == teacher]

    def epochs(self) -> int:
        """Student epochs that all trials have taken so far."""
        return sum(trial.epochs for trial in self.trials)

    def put(self, trial: Trial) -> None:
        """Add a trial, or what has become of it."""
        self.trials[trial.number - 1 : trial.number] = [trial]
        if self.writes:
            trials = [each.to_dict() for each in self.trials]
            content = {"schema": SCHEMA, "kind": _KIND}
            content |= {"plan": plan_fields(self.plan), "trials": trials}
            write_json(self.folder / TRIALS, content)

    def state_folder(self, trial: Trial) -> Path:
        """Where a trial's training state lies."""
        return self.folder / f"trial-{trial.number}"

    def keep_right(self, trial: Trial, right: NDArray[np.bool_]) -> None:
        """Keep which validation images a trial names rightly: bool [N]."""
        if self.writes:
            path = self._right_file(trial)
            write_with(path, lambda temporary: np.savez_compressed(temporary, right=right))

    def right(self, trial: Trial) -> NDArray[np.bool_]:
        """Which validation images a complete trial names rightly: bool [N].

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        path = self._right_file(trial)
        try:
            with np.load(path) as kept:
                return np.asarray(kept["right"], dtype=np.bool_)
        except Exception as error:  # zip, numpy and the disk each have errors of their own
            reason = " ".join(str(error).split())
            raise ArtifactError(
                f"{path}: cannot be read ({reason}); give --force to search anew"
            ) from error

    def _right_file(self, trial: Trial) -> Path:
        return self.folder / f"trial-{trial.number}.npz"

    def sweep(self) -> None:
        """Remove the training states of trials that are over and have not won so far."""
        if not self.writes:
            return
        best = best_of(self.trials)
        for trial in self.trials:
            if trial is not best and trial.state != "running":
                shutil.rmtree(self.state_folder(trial), ignore_errors=True)


def open_record(folder: Path, plan: Plan, *, writes: bool = True) -> Record:
    """The record in a folder; an empty one where none was begun.

    Where several processes train together, all must have opened it before one of them searches.

    Raises:
        ArtifactError: it cannot be read, or is of another search.
    """
    record = Record(folder=folder, plan=plan, writes=writes)
    path = folder / TRIALS
    if path.is_file():
        content = read_json(path, kind=_KIND)
        _refuse_other(path, content.get("plan"), plan)
        try:
            record.trials = [trial_from(fields) for fields in content["trials"]]
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                f"{path}: not the record of a search ({error}); give --force to search anew"
            ) from error
    return record


def plan_fields(plan: Plan) -> dict[str, Any]:
    """A plan in the form that JSON holds."""
    return {
        "tuned": list(plan.space.tuned),
        "starts": [asdict(start) for start in plan.space.starts],
        "ranges": {
            name: list(plan.space.bounds(name))
            for name in sorted({n for m in plan.space.methods() for n in plan.space.numbers(m)})
        },
        "teachers": list(plan.teachers),
        "epochs": plan.epochs,
        "budget": plan.budget,
        "warmup": plan.warmup,
        "rungs": list(plan.rungs()),
        "seed": plan.seed,
    }


def _refuse_other(path: Path, found: Any, plan: Plan) -> None:
    wanted = plan_fields(plan)
    if found == wanted:
        return
    known = found if isinstance(found, dict) else {}
    differing = [key for key in wanted if known.get(key) != wanted[key]]
    raise ArtifactError(
        f"{path}: expected the trials of this search, found those of another "
        f"({', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}); choose "
        "another --out, or give --force to search anew"
    )
