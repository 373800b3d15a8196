"""The loop: steps, epochs, and what is saved between them."""

import time
from collections.abc import Generator, Mapping
from functools import partial
from itertools import islice
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.errors import ModelError, TrainingError
from compress.models.head import keep_frozen_in_eval
from compress.progress import Advance, Progress
from compress.training.average import make_average
from compress.training.batches import Batch, BatchPlan, read_batch
from compress.training.evaluate import accuracy, split_logits
from compress.training.guard import ChanceGuard, EpochEnd, beats_chance
from compress.training.job import Job
from compress.training.learner import History, Learner, Position
from compress.training.loader import ahead
from compress.training.optimizer import make_optimizer
from compress.training.state import HELD, hold_state, load_state, save_state
from compress.training.step import CHANCE_STEPS, loss_terms, take_step
from compress.training.stopping import Stop, stop_requests
from compress.training.tracking import Tracker

_SAVE_SECONDS = 60.0  # what a killed run loses at most, where nothing else is asked for


def fit(job: Job, progress: Progress) -> History:
    """Train `job.module` in place and return its history, a row an epoch; fewer where told to stop.

    Goes on from the state in `job.folder` if there is one, at the very step where it was saved: the
    weights at the end are those of a run that nobody stopped.

    Raises:
        TrainingError: the loss is not finite, or stays at chance level.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved.
    """
    learner = make_learner(job)
    position = load_state(job.folder, learner)
    job.processes.check_same(position.step, f"{job.title}: step of the saved state")
    if position.step:
        done = f"step {position.step} of {job.total_steps()}"
        progress.say(f"{job.title}: going on after {done}")
    with (
        stop_requests() as stop,
        Tracker(
            job.folder, position.step, active=job.processes.first, progress=progress
        ) as tracker,
        progress.task(job.title, total=job.epochs) as advance,
    ):
        advance(position.step / job.plan.steps())
        run = Run(job, learner, position, tracker, progress)
        run.to_the_end(stop, advance)
    learner.settle(job.settings.select)
    if job.pupil is not None:
        job.pupil.close()  # the network is kept as it was given
    right = round(position.history[-1]["validation_accuracy"] * len(job.validation))
    if not beats_chance(right, job.validation.labels):
        progress.say(
            f"{job.title}: right on validation no more often than naming one class would be; "
            "nothing was learnt: look at --lr, labels and normalisation with --dry-run"
        )
    return position.history


def make_learner(job: Job) -> Learner:
    """What is trained, as settings ask for it: layout, compiled, wrapped, with its optimiser."""
    if job.settings.channels_last:
        job.trained().to(memory_format=torch.channels_last)
    network = job.processes.wrap(job.trained())
    if job.settings.compile:
        network = cast("nn.Module", torch.compile(network))
    return Learner(
        module=job.module,
        network=network,
        optimizer=make_optimizer(job.trained(), job.settings),
        average=make_average(job.module, job.settings.ema),
        pupil=job.pupil,
    )


class Run:
    """A training on its way from `position` to the end."""

    def __init__(
        self, job: Job, learner: Learner, position: Position, tracker: Tracker, progress: Progress
    ) -> None:
        """Keep what every step needs."""
        self.job, self.learner, self.position = job, learner, position
        self.tracker, self.progress = tracker, progress
        warmup_steps = job.settings.warmup * job.total_steps()
        self.guard = ChanceGuard(position.guard, warmup_steps=warmup_steps)
        self.terms: dict[str, float] = {}  # of the step that was taken last
        self.began = self.saved = time.perf_counter()

    def to_the_end(self, stop: Stop, advance: Advance) -> None:
        """Take step after step; save, and leave between two of them if asked to."""
        job, position = self.job, self.position
        self._training_mode()
        batches = _read_ahead(job, position.step)
        try:
            while position.step < job.total_steps():
                parts = islice(batches, job.settings.accumulate)
                figures = take_step(job, self.learner, position.step, parts)
                position.add(figures)
                self.terms = loss_terms(figures)
                self.tracker.step(position.step, self.terms)
                advance(1 / job.plan.steps())
                epoch_ended = position.step % job.plan.steps() == 0
                if epoch_ended:
                    self._end_epoch()
                wanted = not epoch_ended or self._is_wanted()
                self._save_or_stop(stop, epoch_ended)  # raises where somebody asked to leave
                if not wanted:
                    break
        finally:
            batches.close()

    def _training_mode(self) -> None:
        self.learner.network.train()
        keep_frozen_in_eval(self.job.trained())

    def _end_epoch(self) -> None:
        """Evaluate, write the history's row, and look whether anything is learnt at all."""
        job, position = self.job, self.position
        found = accuracy(self._validate(), job.validation.labels)
        self._training_mode()
        self._count_seconds()
        row = self._row(found)
        position.history.append(row)
        if job.settings.select == "best":
            self.learner.keep_best(found, len(position.history))
        self.tracker.epoch(position.history)
        self.progress.detail(_epoch_sentence(job, row))
        self._refuse_chance(round(found * len(job.validation)))
        position.sums, position.seconds = {}, 0.0

    def _is_wanted(self) -> bool:
        """Whether whoever asked for this training still wants it, as its epochs are so far."""
        history = [row["validation_accuracy"] for row in self.position.history]
        return self.job.keep_going is None or self.job.keep_going(history)

    def _validate(self) -> NDArray[np.float32]:
        """The logits of the network as it is kept, on validation.

        Raises:
            TrainingError: they are not finite: the weights have just diverged.
        """
        job = self.job
        try:
            return split_logits(
                self.learner.to_keep(),
                job.preprocessing,
                job.validation,
                job.evaluation_size,
                processes=job.processes,
            )
        except ModelError as error:
            raise TrainingError(self._diverged()) from error

    def _row(self, validation_accuracy: float) -> dict[str, float]:
        """The history's row of the epoch that has just ended: means over its steps."""
        job, position = self.job, self.position
        steps, sums = job.plan.steps(), dict(position.sums)
        right, labelled = sums["right"], sums["labelled"]
        terms = {name: total / steps for name, total in loss_terms(sums).items()}
        return {
            "epoch": len(position.history) + 1,
            "lr": self.learner.optimizer.param_groups[0]["lr"],
            **terms,
            "train_accuracy": right / labelled if labelled else 0.0,
            "validation_accuracy": validation_accuracy,
            "seconds": position.seconds,
        }

    def _refuse_chance(self, right: int) -> None:
        """Stop where epoch after epoch nothing is learnt.

        Raises:
            TrainingError: names the terms, the step, and the last good state.
        """
        job, sums = self.job, self.position.sums
        probed = min(CHANCE_STEPS, job.plan.steps())
        chance = _means(sums, "chance/", probed)
        epoch = EpochEnd(
            step=self.position.step,
            steps=job.plan.steps(),
            loss=sum(sums[name] for name in chance) / job.plan.steps(),
            terms=_means(sums, "probe/", probed),
            chance=chance,
            right=right,
            labels=job.validation.labels,
        )
        if self.guard.stops(epoch):
            last = job.last_state(HELD)
            raise TrainingError(self.guard.sentence(job.title, epoch, last, job.settings))

    def _count_seconds(self) -> None:
        """Add the time since the last call to the running epoch's."""
        now = time.perf_counter()
        self.position.seconds += now - self.began
        self.began = now

    def _save_or_stop(self, stop: Stop, epoch_ended: bool) -> None:
        """Save where it is due, and leave after saving where somebody asked to."""
        job = self.job
        stopping = job.processes.sum(np.array([float(stop.requested)]))[0] > 0
        every = job.settings.checkpoint_every
        due = self.position.step % every == 0 if every else epoch_ended or self._minute_over()
        if (due or stopping) and job.processes.first:
            self._count_seconds()
            self.tracker.flush()
            self._save()
        good = epoch_ended and not self.position.guard
        if good and job.processes.first:
            hold_state(job.folder)
        if stopping:
            job.processes.wait()  # else torchrun may end the first process while it saves
            raise KeyboardInterrupt

    def _save(self) -> None:
        """Save the state, which must be fit to go on from.

        Raises:
            TrainingError: a weight is not finite; the state that is there stays.
        """
        if not all(bool(torch.isfinite(p).all()) for p in self.learner.trained().parameters()):
            if self.job.processes.count > 1:
                return  # only the first one looks here: the next loss stops them all together
            raise TrainingError(self._diverged())
        save_state(self.job.folder, self.learner, self.position)
        self.saved = time.perf_counter()

    def _diverged(self) -> str:
        job = self.job
        terms = ", ".join(f"{name} {value:g}" for name, value in self.terms.items())
        return (
            f"{job.title}: expected finite weights, found NaN or infinity after step "
            f"{self.position.step} ({terms}); {job.last_state()}; "
            f"use a lower --lr than {job.settings.lr:g} with --force"
        )

    def _minute_over(self) -> bool:
        return time.perf_counter() - self.saved > _SAVE_SECONDS


def _read_ahead(job: Job, first_step: int) -> Generator[Batch]:
    """This process's parts of all steps from `first_step` on, prepared while others compute."""
    accumulate = job.settings.accumulate
    numbers = range(first_step * accumulate, job.total_steps() * accumulate)
    return ahead(
        partial(_read_part, job.plan, job.processes.rank, accumulate), numbers, job.settings.workers
    )


def _read_part(plan: BatchPlan, rank: int, accumulate: int, number: int) -> Batch:
    """Part `number` of one process, counted over all epochs."""
    step, part = divmod(number, accumulate)
    epoch, step = divmod(step, plan.steps())
    return read_batch(plan, epoch, step, rank * accumulate + part)


def _means(sums: Mapping[str, float], prefix: str, count: int) -> dict[str, float]:
    """The means of the figures whose names begin with `prefix`, by the rest of their names."""
    return {k.removeprefix(prefix): v / count for k, v in sums.items() if k.startswith(prefix)}


def _epoch_sentence(job: Job, row: Mapping[str, float]) -> str:
    return (
        f"{job.title}: epoch {row['epoch']:.0f}/{job.epochs}, loss {row['loss']:.4f}, "
        f"validation accuracy {100 * row['validation_accuracy']:.1f} %, {row['seconds']:.1f} s"
    )
