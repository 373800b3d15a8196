"""The loop: one batch from uint8 views to an optimiser step, epoch after epoch."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from compress.data.dataset import Split
from compress.errors import ModelError, TrainingError
from compress.models.head import keep_frozen_in_eval
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Training
from compress.training.batches import UNLABELLED, Batch, BatchPlan, epoch_batches
from compress.training.evaluate import accuracy, device_of, split_logits, to_input
from compress.training.optimizer import make_optimizer, rate_at, set_rate
from compress.training.state import History, load_state, save_state

# The weighted terms of the loss, by name; their sum is what is minimised.
Terms = Mapping[str, torch.Tensor]
Objective = Callable[[Batch, torch.Tensor], Terms]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train.

    Attributes:
        title: what the progress bar calls it.
        module: the network, on its device.
        preprocessing: what its images go through.
        validation: what the history is measured on.
        plan: how they become batches.
        objective: from a batch and the student's logits to the weighted terms of the loss.
        settings: the schedule.
        epochs: passes over the plan's images.
        folder: where the state is kept after each epoch.
    """

    title: str
    module: nn.Module
    preprocessing: Preprocessing
    plan: BatchPlan
    validation: Split
    objective: Objective
    settings: Training
    epochs: int
    folder: Path


def fit(job: Job, progress: Progress) -> History:
    """Train `job.module` in place and return its history, a row an epoch.

    Goes on from the state in `job.folder` if there is one. The weights are the last epoch's:
    nothing is selected, so nothing needs a split to be selected on.

    Raises:
        TrainingError: the loss is not finite.
    """
    job.module.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(job.module, job.settings)
    history = load_state(job.folder, job.module, optimizer)
    if history:
        progress.say(f"{job.title}: going on after epoch {len(history)} of {job.epochs}")
    with progress.task(job.title, total=job.epochs) as advance:
        advance(len(history))
        for epoch in range(len(history), job.epochs):
            history.append(_run_epoch(job, optimizer, epoch, advance))
            save_state(job.folder, job.module, optimizer, history)
            progress.detail(_epoch_sentence(job, history))
    return history


def _run_epoch(
    job: Job,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    advance: Callable[[float], None],
) -> dict[str, float]:
    """One pass over the training split, and the validation accuracy after it."""
    started = time.perf_counter()
    plan = job.plan
    job.module.train()
    keep_frozen_in_eval(job.module)
    sums: dict[str, float] = {"loss": 0.0, "train_accuracy": 0.0}
    rate = 0.0
    for number, batch in enumerate(epoch_batches(plan, epoch)):
        step = epoch * plan.steps() + number
        share = rate_at(step, steps=job.epochs * plan.steps(), warmup=job.settings.warmup)
        rate = job.settings.lr * share
        set_rate(optimizer, rate)
        for name, value in _step(job, optimizer, batch, step).items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.labels)
        advance(1 / plan.steps())
    logits = split_logits(job.module, job.preprocessing, job.validation, plan.size)
    return {
        "epoch": epoch + 1,
        "lr": rate,
        **{name: value / len(plan.split) for name, value in sums.items()},
        "validation_accuracy": accuracy(logits, job.validation.labels),
        "seconds": time.perf_counter() - started,
    }


def _step(job: Job, optimizer: torch.optim.Optimizer, batch: Batch, step: int) -> dict[str, float]:
    """One batch: forward, loss, backward, update; returns means over the batch."""
    logits = job.module(to_input(batch.images, job.preprocessing, device_of(job.module)))
    if not isinstance(logits, torch.Tensor):
        raise ModelError(
            f"{job.title}: expected logits as one tensor, found {type(logits).__name__} in "
            "training mode; switch auxiliary outputs off with --model-args"
        )
    logits = logits.float()  # [B, C]
    terms = job.objective(batch, logits)
    loss = torch.stack(list(terms.values())).sum()
    means = {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}
    if not math.isfinite(means["loss"]):
        raise TrainingError(_diverged(job, means, step))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if job.settings.clip_norm > 0:
        nn.utils.clip_grad_norm_(job.module.parameters(), job.settings.clip_norm)
    optimizer.step()
    return {**means, "train_accuracy": _batch_accuracy(logits, batch)}


def _batch_accuracy(logits: torch.Tensor, batch: Batch) -> float:
    """Share of the labelled images that are right; 0 where none is labelled."""
    labelled = batch.labels != UNLABELLED
    right = logits.argmax(1).cpu().numpy()[labelled] == batch.labels[labelled]
    return float(right.mean()) if labelled.any() else 0.0


def _diverged(job: Job, means: Mapping[str, float], step: int) -> str:
    terms = ", ".join(f"{name} {value:g}" for name, value in means.items())
    return (
        f"{job.title}: expected a finite loss, found {terms} at step {step + 1}; use a lower --lr "
        f"than {job.settings.lr:g} and --force, or look for NaN in the images or weights"
    )


def _epoch_sentence(job: Job, history: History) -> str:
    row = history[-1]
    return (
        f"{job.title}: epoch {len(history)}/{job.epochs}, loss {row['loss']:.4f}, "
        f"validation accuracy {100 * row['validation_accuracy']:.1f} %, {row['seconds']:.1f} s"
    )
