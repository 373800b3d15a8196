"""One step: a batch, or its parts, from uint8 views to an update of the weights."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from compress.errors import ModelError, TrainingError
from compress.training.batches import UNLABELLED, Batch
from compress.training.evaluate import device_of, to_input
from compress.training.job import Job, Outputs
from compress.training.learner import Learner
from compress.training.schedule import pace_at, set_pace

_DROPOUT = 2  # stream of a seed, beside those of order and views
# A term's value for a student that says nothing is measured on the first steps of an epoch.
CHANCE_STEPS = 4
_TOO_SMALL = "Expected more than 1 value per channel"  # torch, of a BatchNorm in training


def take_step(job: Job, learner: Learner, step: int, parts: Iterable[Batch]) -> dict[str, float]:
    """Forward, loss and backward of each part, then one update.

    Args:
        job: what is trained.
        learner: is changed.
        step: its number over all epochs, from 0.
        parts: this process's parts of the step.

    Returns:
        Figures of the whole step, over all processes: "loss", each term, "right" (images named
        rightly) and "labelled"; on an epoch's first steps also, of the terms that the logits
        decide, "probe/NAME", the term again, and "chance/NAME", that of a student that says
        nothing.

    Raises:
        TrainingError: the loss is not finite.
        ModelError: the network takes no part this small, or leaves weights out that several
            processes would have to exchange.
    """
    pace = pace_at(step, steps=job.total_steps(), settings=job.settings)
    set_pace(learner.optimizer, pace, job.settings.lr)
    learner.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    for number, batch in enumerate(parts):
        last = number == job.settings.accumulate - 1
        with _gradients_met(learner.network, last):
            for name, value in _compute(job, learner, step, number, batch).items():
                sums[name] = sums.get(name, 0.0) + value
    if job.processes.count > 1:
        _refuse_unused(job)
    # Of all processes together: what one of them finds stops them all, at the same step.
    figures = _over_processes(job, sums)
    if not math.isfinite(figures["loss"]):
        raise TrainingError(_diverged(job, figures, step))
    if job.settings.clip_norm > 0:
        nn.utils.clip_grad_norm_(job.trained().parameters(), job.settings.clip_norm)
    learner.optimizer.step()
    if learner.average is not None:
        learner.average.update_parameters(learner.module)
    return figures


def _compute(job: Job, learner: Learner, step: int, number: int, batch: Batch) -> dict[str, float]:
    """One part: forward, loss, backward; its share of the step's figures."""
    part = job.processes.rank * job.settings.accumulate + number
    torch.manual_seed(_seed_of(job.plan.order_seed, step, part))  # for dropout
    outputs = _forward(job, learner.network, batch)
    terms = job.objective(batch, outputs)
    loss = torch.stack(list(terms.values())).sum()
    figures = {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}
    # Parts add up to the step's mean; gradients of several processes are averaged by torch.
    (loss * job.processes.count).backward()  # type: ignore[no-untyped-call]
    if step % job.plan.steps() < CHANCE_STEPS:
        silent = _terms_of_silence(job, batch, outputs)
        figures |= {f"chance/{name}": value for name, value in silent.items()}
        figures |= {f"probe/{name}": terms[name].item() for name in silent}
    return figures | _count_right(outputs.logits, batch)


def _terms_of_silence(job: Job, batch: Batch, outputs: Outputs) -> dict[str, float]:
    """The terms for logits of zeros, without those that only depend on features."""
    silence = torch.zeros_like(outputs.logits).requires_grad_()
    features = tuple(feature.detach() for feature in outputs.features)
    terms = job.objective(batch, Outputs(silence, features))
    return {name: term.item() for name, term in terms.items() if term.requires_grad}


def _forward(job: Job, network: Callable[[torch.Tensor], object], batch: Batch) -> Outputs:
    """What the network says of a part, float32; its losses are float32 in any case."""
    device = device_of(job.module)
    layout = job.settings.channels_last
    inputs = to_input(batch.views.pixels, job.preprocessing, device, channels_last=layout)
    reduced = job.settings.precision == "bfloat16"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
            found = network(inputs)
    except ValueError as error:
        if _TOO_SMALL not in str(error):
            raise
        raise ModelError(_too_small(job, len(inputs))) from error
    outputs = found if isinstance(found, Outputs) else Outputs(found)  # type: ignore[arg-type]
    if not isinstance(outputs.logits, torch.Tensor):
        raise ModelError(
            f"{job.title}: expected logits as one tensor, found {type(outputs.logits).__name__} in "
            "training mode; switch auxiliary outputs off with --model-args"
        )
    return Outputs(outputs.logits.float(), tuple(feature.float() for feature in outputs.features))


def _seed_of(seed: int, step: int, part: int) -> int:
    """Torch's seed for one part of one step."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(_DROPOUT, step, part))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _gradients_met(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let several processes exchange gradients once a step: with its last part."""
    if isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()


def _count_right(logits: torch.Tensor, batch: Batch) -> dict[str, float]:
    """Images whose larger share is named rightly, among those that have labels."""
    labels = batch.main_labels()
    labelled = labels != UNLABELLED
    right = (logits.argmax(1).cpu().numpy() == labels)[labelled]
    return {"right": float(right.sum()), "labelled": float(labelled.sum())}


def _refuse_unused(job: Job) -> None:
    """Several processes exchange all gradients: torch waits for each weight's, and would for ever.

    Raises:
        ModelError: names the weights that had no part in the loss.
    """
    weights = job.trained().named_parameters()
    unused = [name for name, p in weights if p.requires_grad and p.grad is None]
    if unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        raise ModelError(
            f"{job.title}: expected every trained parameter in the loss where several processes "
            f"train, found {', '.join(unused[:3])}{more} without a gradient; remove them from the "
            "network, switch their requires_grad off, or train in one process"
        )


def _over_processes(job: Job, sums: Mapping[str, float]) -> dict[str, float]:
    if job.processes.count == 1:
        return dict(sums)
    total = job.processes.sum(np.array(list(sums.values())))
    return dict(zip(sums, total.tolist(), strict=True))


def loss_terms(figures: Mapping[str, float]) -> dict[str, float]:
    """The loss and its terms, without what is only counted or compared with."""
    return {k: v for k, v in figures.items() if "/" not in k and k not in ("right", "labelled")}


def _too_small(job: Job, images: int) -> str:
    return (
        f"{job.title}: expected parts of a step that BatchNorm can take statistics of, found "
        f"{images} image in one; use a larger --batch-size than {job.plan.batch_size}, a smaller "
        f"--accumulate than {job.settings.accumulate} if it is above 1, or fewer processes"
    )


def _diverged(job: Job, figures: Mapping[str, float], step: int) -> str:
    terms = ", ".join(f"{name} {value:g}" for name, value in loss_terms(figures).items())
    return (
        f"{job.title}: expected a finite loss, found {terms} at step {step + 1}; "
        f"{job.last_state()}; use a lower --lr than {job.settings.lr:g} with --force, "
        "or look for NaN in the images or weights"
    )
