"""How long a training will take: a few real steps on a copy, times how many there are."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from compress.data.dataset import Dataset, select
from compress.models.head import keep_frozen_in_eval
from compress.training.batches import read_batch
from compress.training.evaluate import device_of, evaluation_batches, split_logits
from compress.training.job import Job
from compress.training.learner import Learner
from compress.training.loop import make_learner
from compress.training.step import CHANCE_STEPS, take_step

_WARM_UP_STEPS, _TIMED_STEPS = 2, 5
_ENOUGH_SECONDS = 5.0  # of steps, after which no further one is timed


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of the parts of a training, each the median of some.

    Attributes:
        reading: the images of a step.
        step: forward, loss, backward and update; without the teacher.
        evaluation: an image of the validation split.
    """

    reading: float
    step: float
    evaluation: float

    def one_training(self, job: Job, dataset: Dataset) -> float:
        """Seconds of all epochs of one network, with its evaluation."""
        # Images are read while others are computed: the slower of the two decides.
        step = max(self.step, self.reading / max(1, job.settings.workers))
        evaluated = (job.epochs + 1) * len(dataset.validation) + len(dataset.test)
        return job.total_steps() * step + evaluated * self.evaluation

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "reading_seconds": self.reading,
            "step_seconds": self.step,
            "evaluation_seconds_per_image": self.evaluation,
        }


def time_training(
    job: Job, dataset: Dataset, elsewhere: Callable[[], float]
) -> tuple[Pace, Learner]:
    """Take some steps on a copy of the network; gives the copy's learner as they left it.

    Args:
        job: the training.
        dataset: whose validation split is evaluated.
        elsewhere: seconds so far that steps have spent on what is not the student: a teacher.
    """
    job = job.copied()
    learner = make_learner(job)
    learner.network.train()
    keep_frozen_in_eval(job.trained())
    reading, steps = [], []
    for step in _later_steps(job.plan.steps(), _WARM_UP_STEPS + _TIMED_STEPS):
        started = time.perf_counter()
        parts = [read_batch(job.plan, 0, step, k) for k in range(job.settings.accumulate)]
        read, before = time.perf_counter(), elsewhere()
        take_step(job, learner, step, parts)
        synchronise(device_of(job.module))
        reading.append(read - started)
        steps.append(time.perf_counter() - read - (elsewhere() - before))
        if len(steps) > _WARM_UP_STEPS and sum(steps) > _ENOUGH_SECONDS:
            break
    pace = Pace(
        reading=statistics.median(reading[_WARM_UP_STEPS:]),
        step=statistics.median(steps[_WARM_UP_STEPS:]),
        evaluation=_time_evaluation(job, dataset),
    )
    return pace, learner


def _later_steps(steps: int, count: int) -> list[int]:
    """`count` steps of an epoch of `steps`; the first ones measure more than the others do."""
    first = CHANCE_STEPS if steps > CHANCE_STEPS else 0
    return [first + number % (steps - first) for number in range(count)]


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was given: only then is time measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time_evaluation(job: Job, dataset: Dataset) -> float:
    """Seconds an image, over one batch that was evaluated before."""
    batch = next(evaluation_batches(len(dataset.validation), job.preprocessing))
    some = select(dataset.validation, batch)
    for _ in range(2):
        started = time.perf_counter()
        split_logits(job.module, job.preprocessing, some, job.evaluation_size)
        seconds = time.perf_counter() - started
    return seconds / len(some)
