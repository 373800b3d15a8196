"""What a training would be, before it begins: `--dry-run`. Nothing is written.

The numbers come from the loop's own first steps on a copy of the network.
"""

import resource
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch

from compress.data.dataset import SPLITS, Dataset
from compress.training.evaluate import device_of
from compress.training.gradients import lopsided_sentences, weigh_terms
from compress.training.guard import labelled
from compress.training.job import Job
from compress.training.learner import Learner
from compress.training.pace import time_training


def preflight(
    job: Job,
    dataset: Dataset,
    *,
    networks: int = 1,
    elsewhere: Callable[[], float] = lambda: 0.0,
) -> dict[str, Any]:
    """Take the first steps of a training on copies of its network, and foretell the rest.

    Args:
        job: the training; its module is left as it is, its folder is not touched.
        dataset: the images.
        networks: such trainings that the command makes: runs, twice as many with a baseline.
        elsewhere: seconds so far that steps have spent on what is not the student: a teacher.

    Returns:
        Plain JSON: data, student, terms, gradient_ratios, steps, memory, time, warnings; sizes in
        bytes, durations in seconds.

    Raises:
        TrainingError: the loss is not finite at the start.
    """
    random_state = torch.get_rng_state()
    try:
        pace, learner = time_training(job, dataset, elsewhere)
        memory = _memory(learner)  # of training alone: what follows holds more gradients
        weighed = weigh_terms(job)
    finally:
        torch.set_rng_state(random_state)
    warnings = lopsided_sentences(weighed)
    if weighed.is_softmax:
        warnings.append(
            f"{job.title}: its outputs are probabilities (rows sum to 1), of which the losses "
            "would take the softmax once more; let the network return logits"
        )
    seconds = networks * pace.one_training(job, dataset)
    return {
        "data": _data(job, dataset),
        "student": _student(job) | {"output": list(weighed.output)},
        **weighed.to_dict(),
        "memory": memory,
        "time": {
            **pace.to_dict(),
            "networks": networks,
            "epochs": job.epochs,
            "steps_per_epoch": job.plan.steps(),
            "students_seconds": seconds,
            "total_seconds": seconds,
        },
        "warnings": warnings,
    }


def _data(job: Job, dataset: Dataset) -> dict[str, Any]:
    """Images per split, what teaches, and how large it is seen."""
    views = job.plan.views
    size = dataset.image_size
    return {
        "reference": dataset.name,
        "splits": {name: len(dataset.split(name)) for name in SPLITS},
        "taught": {"images": len(views.split), "labelled": len(labelled(views.split.labels))},
        "channels": dataset.channels,
        "image_size": list(size) if size else None,
        "view_size": list(views.size),
        "views": views.augmenting.view_count(job.epochs),
        "classes": list(dataset.classes),
    }


def _student(job: Job) -> dict[str, Any]:
    """The network that is kept, and how much is trained beside it."""
    weights = list(job.module.parameters())
    connectors = [] if job.pupil is None else list(job.pupil.connectors.parameters())
    return {
        "title": job.title,
        "parameters": sum(p.numel() for p in weights),
        "trained_parameters": sum(p.numel() for p in weights if p.requires_grad),
        "connector_parameters": sum(p.numel() for p in connectors),
        "input": [job.preprocessing.channels, *job.preprocessing.size],
    }


def _memory(learner: Learner) -> dict[str, int | None]:
    """Bytes of what a training holds, and the most that this process has held so far."""
    weights = list(learner.trained().parameters())
    state = [value for values in learner.optimizer.state.values() for value in values.values()]
    device = device_of(learner.module)
    on_gpu = device.type == "cuda"
    return {
        "parameters_bytes": _bytes([*weights, *learner.trained().buffers()]),
        "gradients_bytes": _bytes(p for p in weights if p.requires_grad),
        "optimizer_bytes": _bytes(value for value in state if isinstance(value, torch.Tensor)),
        "process_peak_bytes": _process_peak(),
        "device_peak_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else None,
    }


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _process_peak() -> int:
    """The largest resident size so far; Linux counts in units of 1024 bytes, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
