"""`compress train`: a network learns from labels. Read top to bottom."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.models.checkpoint import verify_checkpoint
from compress.progress import SILENT, Progress
from compress.settings import Augmenting, Network, Run, Training
from compress.stage import open_stage, settings_of
from compress.training.objective import label_objective
from compress.training.preflight import preflight
from compress.training.processes import ALONE, Processes, join_processes
from compress.training.runs import run_folder, summarise_runs
from compress.training.shared_stage import open_shared_stage
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import (
    Trainee,
    input_digests,
    input_of,
    make_job,
    plan_views,
    train_network,
    views_size,
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked for.

    Attributes:
        model: which network learns.
        network: how it starts.
        training: the schedule.
        augmenting: what it sees.
        run: data, seeds, threads, and where the result goes.
    """

    model: str
    network: Network
    training: Training
    augmenting: Augmenting
    run: Run

    def check(self) -> None:
        """Refuse numbers out of their range, before anything is read.

        Raises:
            UsageError: names the flag.
        """
        for part in (self.network, self.training, self.augmenting, self.run):
            part.check()


def train(wish: Wish, progress: Progress) -> Path:
    """Train a network on `wish.run.data` and write a checkpoint folder.

    Returns:
        The folder; with --runs N the first seed's, which holds the others as seed-1, seed-2, ...
    """
    out = wish.run.require_out()
    wish.check()
    run = set_up_torch(wish.run.resolved())
    wish = replace(wish, run=run)
    with join_processes(run.device) as processes:
        dataset = _open(wish, progress)
        settings = _settings(wish, dataset, processes)
        stage = open_shared_stage(run, "train", settings, result=MANIFEST, processes=processes)
        if stage.finished:
            verify_checkpoint(out)
            progress.say(f"{out}: finished already")
            return out
        # The first seed comes last: its manifest says that the whole stage is finished.
        numbers = reversed(range(wish.training.runs))
        trainees = [_trainee(wish, dataset, settings, processes, number) for number in numbers]
        make_job(trainees[0], SILENT)  # what it refuses, it refuses before --force removes anything
        processes.outcome(stage.begin)
        for trainee in trainees:
            train_network(trainee, progress)
    return out


def foresee_training(wish: Wish, progress: Progress) -> dict[str, Any]:
    """What `train` would do, from its first steps on a copy; nothing is written."""
    wish.check()
    wish = replace(wish, run=set_up_torch(wish.run.resolved()))
    dataset = _open(wish, progress)
    if wish.run.out:
        settings = _settings(wish, dataset, ALONE)
        open_stage(wish.run.out, "train", settings, result=MANIFEST, force=wish.run.force)
    trainee = _trainee(wish, dataset, {}, ALONE, 0)
    return preflight(make_job(trainee, progress), dataset, networks=wish.training.runs)


def _open(wish: Wish, progress: Progress) -> Dataset:
    run = wish.run
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    return dataset


def _settings(wish: Wish, dataset: Dataset, processes: Processes) -> dict[str, Any]:
    """Everything that decides the result: the same settings make the same weights."""
    parts = (wish.run, wish.network, wish.training, wish.augmenting)
    return {
        "model": wish.model,
        **settings_of(*parts),
        "data_fingerprint": dataset.fingerprint,
        "processes": processes.count,
        **input_digests(wish.model, wish.network),
    }


def _trainee(
    wish: Wish, dataset: Dataset, settings: dict[str, Any], processes: Processes, number: int
) -> Trainee:
    """The network of seed `number`."""
    run, out = wish.run, wish.run.out or Path()

    def record() -> dict[str, Any]:
        return {"recipe": {"train": settings}} | summarise_runs(out, number, wish.training.runs)

    size = views_size(dataset, input_of(wish.model, wish.network, dataset, run))
    source = f"{dataset.fingerprint}:train"
    return Trainee(
        title=f"training {wish.model}, seed {run.seed + number}",
        reference=wish.model,
        network=wish.network,
        training=wish.training,
        run=run,
        dataset=dataset,
        views=plan_views(dataset.train, source, size, wish.augmenting, run),
        evaluation_size=size,
        objective=label_objective(wish.training.label_smoothing),
        seed=run.seed + number,
        folder=run_folder(out, number),
        record=record,
        processes=processes,
    )
