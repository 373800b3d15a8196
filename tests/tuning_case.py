"""A search whose students learn by a known function of their settings, in no time."""

import math
from dataclasses import replace

import numpy as np

from compress.distill.tuning.record import open_record
from compress.distill.tuning.search import search
from compress.distill.tuning.space import TrialSettings, plan_space
from compress.distill.tuning.trial import Plan, Trained
from compress.errors import TrainingError
from compress.progress import SILENT

KD = TrialSettings(method="kd", temperature=4.0, kd_weight=0.9, ce_weight=0.1)
DKD = TrialSettings(method="dkd", temperature=4.0, kd_weight=1.0, ce_weight=1.0)
HARD = TrialSettings(method="hard", temperature=None, kd_weight=2.0, ce_weight=1.0)
BEST = replace(KD, temperature=2.0, kd_weight=3.0)  # what the function is highest at
IMAGES = 1000


def make_plan(
    tuned=("temperature", "kd_weight"),
    starts=(KD,),
    teachers=("big",),
    *,
    epochs=9,
    budget=54,
    warmup=0.0,
    seed=0,
) -> Plan:
    return Plan(
        space=plan_space(tuned, starts),
        teachers=teachers,
        epochs=epochs,
        budget=budget,
        warmup=warmup,
        seed=seed,
    )


def accuracy_at(settings: TrialSettings, teacher: str, epoch: int, epochs: int) -> float:
    """Highest at BEST, higher with each epoch, and two points lower with the teacher "small"."""
    heat = math.log2((settings.temperature or 2.0) / BEST.temperature)
    weight = math.log2(settings.kd_weight / BEST.kd_weight)
    end = 0.9 - 0.02 * heat**2 - 0.01 * weight**2 - (0.02 if teacher == "small" else 0.0)
    return round(end - 0.3 * (1 - epoch / epochs), 3)


def train(task, keep_going, *, epochs=9, after_epoch=lambda task, epoch: None):
    """A runner: goes on from the file in its folder, as `fit` does from its state."""
    state = task.folder / "state.txt"
    task.folder.mkdir(parents=True, exist_ok=True)
    done = int(state.read_text()) if state.is_file() else 0
    settings, teacher = task.trial.settings, task.trial.teacher
    accuracies = [accuracy_at(settings, teacher, e, epochs) for e in range(1, done + 1)]
    for epoch in range(done + 1, epochs + 1):
        if settings.kd_weight > 8:
            raise TrainingError("expected finite weights, found NaN")
        accuracies.append(accuracy_at(settings, teacher, epoch, epochs))
        going = keep_going(accuracies)
        after_epoch(task, epoch)
        if not going:
            return None
        state.write_text(str(epoch))
    right = np.arange(IMAGES) < round(IMAGES * accuracies[-1])
    return Trained(accuracies=accuracies, right=right)


def run(folder, plan, runner=None):
    """The record of a finished search."""
    record = open_record(folder, plan)
    search(record, runner or (lambda task, keep: train(task, keep, epochs=plan.epochs)), SILENT)
    return record


def told(record):
    """The table of a search without the time that it took."""
    return [replace(trial, seconds=0.0) for trial in record.trials]
