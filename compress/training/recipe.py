"""`compress train`: a network learns from labels. Read top to bottom."""

from pathlib import Path
from typing import Any

from compress.artifacts import MANIFEST
from compress.data.open import open_dataset
from compress.models.checkpoint import verify_checkpoint
from compress.progress import Progress
from compress.settings import Network, Run, Training
from compress.stage import open_stage, settings_of
from compress.training.objective import label_objective
from compress.training.runs import run_folder, summarise_runs
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import Trainee, input_digests, train_network


def train(
    model: str,
    *,
    network: Network,
    training: Training,
    run: Run,
    progress: Progress,
) -> Path:
    """Train `model` on `run.data` and write a checkpoint folder.

    Returns:
        The folder; with --runs N the first seed's, which holds the others as seed-1, seed-2, ...
    """
    out = run.require_out()
    for part in (network, training, run):
        part.check()
    run = set_up_torch(run.resolved())
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    progress.say_all(dataset.notes)
    settings = {"model": model, **settings_of(run, network, training)}
    settings["data_fingerprint"] = dataset.fingerprint
    settings |= input_digests(model, network)
    stage = open_stage(out, "train", settings, result=MANIFEST, force=run.force)
    if stage.finished:
        verify_checkpoint(out)
        progress.say(f"{out}: finished already")
        return out

    # The first seed comes last: its manifest says that the whole stage is finished.
    for number in reversed(range(training.runs)):

        def record(number: int = number) -> dict[str, Any]:
            return {"recipe": {"train": settings}} | summarise_runs(out, number, training.runs)

        trainee = Trainee(
            title=f"training {model}, seed {run.seed + number}",
            reference=model,
            network=network,
            training=training,
            run=run,
            dataset=dataset,
            train=dataset.train,
            epochs=training.epochs,
            objective=label_objective(training.label_smoothing),
            seed=run.seed + number,
            folder=run_folder(out, number),
            record=record,
        )
        train_network(trainee, progress)
    return out
