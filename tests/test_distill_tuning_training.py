"""The search over students that are really trained: stopped between epochs, and gone on with."""

from dataclasses import replace

import numpy as np
import pytest

from compress.distill.tuning.trial import Trained
from compress.distill.tuning.verdict import conclude
from compress.progress import SILENT
from compress.training.evaluate import split_logits
from compress.training.loop import fit
from compress.training.objective import label_objective
from training_jobs import DATA, make_job
from tuning_case import KD, make_plan, run, told

EPOCHS = 4


class Killed(BaseException):
    """What a kill is to a training: it ends there and then."""


def make_runner(kill=lambda task, step: None):
    """Trains lenet5 with a loss that is weighed by the trial's kd_weight."""

    def train(task, keep_going):
        plain, seen = label_objective(0.0), []

        def objective(batch, outputs):
            if outputs.logits.requires_grad:
                seen.append(None)
                kill(task, len(seen))
            weight = task.trial.settings.kd_weight
            return {k: weight * term for k, term in plain(batch, outputs).items()}

        job = make_job(task.folder, epochs=EPOCHS, objective=objective)
        history = fit(replace(job, keep_going=keep_going), SILENT)
        if len(history) < EPOCHS:
            return None
        logits = split_logits(job.module, job.preprocessing, DATA.validation, (16, 16))
        return Trained(
            accuracies=[row["validation_accuracy"] for row in history],
            right=np.asarray(logits.argmax(axis=1) == DATA.validation.labels),
        )

    return train


def plan():
    start = replace(KD, temperature=None, kd_weight=1.0)
    return make_plan(("kd_weight",), (start,), epochs=EPOCHS, budget=12)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"), plan(), make_runner())


def test_students_are_stopped_between_two_epochs(whole):
    assert {"complete", "pruned"} == {trial.state for trial in whole.trials}
    assert all(len(trial.accuracies) == trial.epochs for trial in whole.trials)
    best = conclude(whole, {}).winner
    assert best.accuracy == best.accuracies[-1]
    assert (whole.folder / f"trial-{best.number}" / "training-state.pt").is_file()


def test_a_search_that_is_killed_in_the_midst_of_trainings_ends_in_the_same_table(whole, tmp_path):
    killed = []

    def kill(task, step):
        place = (task.trial.number, task.trial.epochs, step)
        if step % 5 == 0 and place not in killed:
            killed.append(place)
            raise Killed

    while True:
        try:
            record = run(tmp_path, plan(), make_runner(kill))
            break
        except Killed:
            continue
    assert len(killed) > 4
    assert told(record) == told(whole)
