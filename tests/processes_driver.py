"""What processes of one command do to each other; run twice at once by test_train_processes.py.

Each scene is a command of its own. Writes what this process found, said and ended with, by scene.
"""

import io
import json
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

import tiny
import training_jobs
from compress.artifacts import write_text
from compress.errors import DataError, MissingExtraError, TrainingError
from compress.explain import explain
from compress.launched import rank
from compress.models.taps import Tap
from compress.settings import Run
from compress.training.batches import Batch, read_batch
from compress.training.evaluate import split_logits
from compress.training.job import Job, Outputs, Terms
from compress.training.loop import make_learner
from compress.training.objective import label_objective
from compress.training.processes import Processes, join_processes
from compress.training.pupil import Pupil
from compress.training.shared_stage import open_shared_stage
from compress.training.step import take_step


class Extra(nn.Module):
    """A network with a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.extra = nn.Linear(256, 3), nn.Linear(4, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.used(inputs.flatten(1))


def buffers(processes: Processes) -> object:
    """Buffers of several types, of which each process has its own."""
    module = nn.BatchNorm2d(3)
    module.running_mean += processes.rank + 1
    module.num_batches_tracked += 5 * processes.rank
    module.register_buffer("mask", torch.tensor([True, processes.rank == 0]))
    module.register_buffer("small", torch.full((2, 3, 1, 1), processes.rank).bfloat16())
    processes.same_buffers(module)
    return {name: value.flatten().tolist() for name, value in module.named_buffers()}


def evaluation(processes: Processes) -> object:
    """How far the logits of all are from those of the network that the first one would save."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(256)
    norm.running_mean += 0.1 * processes.rank
    module = nn.Sequential(nn.Flatten(), norm, nn.Linear(256, 3))
    split = tiny.dataset(train=1100).train  # more than one batch of an evaluation
    arguments = (module, training_jobs.make_job(Path("unused")).preprocessing, split, (16, 16))
    alone = processes.share(split_logits(*arguments))
    return float(abs(split_logits(*arguments, processes=processes) - alone).max())


def first_refuses(processes: Processes) -> object:
    def make() -> int:
        raise MissingExtraError("torch", "train")

    return processes.outcome(make)


def other_settings(processes: Processes) -> object:
    run = Run(out=Path("stage"))
    opening = partial(open_shared_stage, run, "train", result="x", processes=processes)
    stage = opening({"epochs": 3})
    if processes.first:
        stage.begin()
        write_text(Path("stage") / "history.csv", "")
    return opening({"epochs": 4}).finished


def another_step(processes: Processes) -> object:
    processes.check_same(40 - processes.rank, "training net: step of the state")
    processes.wait()
    return None


def both_fail(processes: Processes) -> object:
    raise DataError("photos: expected images, found none")


def both_are_at_fault(processes: Processes) -> object:
    raise IndexError("2 of 0")


def second_fails(processes: Processes) -> object:
    if not processes.first:
        raise TrainingError("expected a finite loss")
    processes.wait()
    return None


def first_is_at_fault(processes: Processes) -> object:
    if processes.first:
        raise IndexError("1 of 0")
    processes.wait()
    return None


def second_is_interrupted(processes: Processes) -> object:
    if not processes.first:
        raise KeyboardInterrupt
    processes.wait()
    return None


def unused_weights(processes: Processes) -> object:
    job = training_jobs.make_job(Path("unused"))
    job = replace(job, module=Extra(), plan=replace(job.plan, parts=2), processes=processes)
    part = read_batch(job.plan, 0, 0, processes.rank)
    return take_step(job, make_learner(job), 0, [part])


def pupil_gradients(processes: Processes) -> object:
    """How far gradients of network and connectors are from one process's, and how large those."""
    found = []
    for parts in (1, 2):
        whole = training_jobs.make_job(Path("unused"), extend=connect, objective=attract)
        settings = replace(whole.settings, accumulate=parts, clip_norm=0.0)
        plan = replace(whole.plan, parts=2 * parts)
        shared = training_jobs.make_job(Path("unused"), extend=connect, objective=attract)
        shared = replace(shared, settings=settings, plan=plan, processes=processes)
        numbers = range(parts * processes.rank, parts * (processes.rank + 1))
        one = step_gradients(replace(whole, settings=replace(settings, accumulate=1)), [0])
        several = step_gradients(shared, numbers)
        found.append([float(abs(several - one).max()), float(abs(one).max())])
    return found


def step_gradients(job: Job, numbers: Iterable[int]) -> torch.Tensor:
    """Of all that is trained, after the first step with these parts of it."""
    take_step(job, make_learner(job), 0, [read_batch(job.plan, 0, 0, k) for k in numbers])
    return torch.cat([p.grad.flatten() for p in job.trained().parameters()])


def connect(module: nn.Module) -> Pupil:
    torch.manual_seed(1)
    return Pupil(module, [Tap("5"), Tap("1", "input")], [nn.Conv2d(16, 8, 1), nn.Identity()])


def attract(batch: Batch, outputs: Outputs) -> Terms:
    """The labels, and features that are to be small; means over the step."""
    share = len(batch) / batch.images_in_step
    size = torch.stack([feature.square().mean() for feature in outputs.features]).sum()
    return label_objective(0.0)(batch, outputs) | {"hint": share * size}


def second_is_killed(processes: Processes) -> object:
    if not processes.first:
        os._exit(9)
    processes.wait()
    return None


SCENES: tuple[Callable[[Processes], object], ...] = (
    buffers,
    evaluation,
    first_refuses,
    other_settings,
    another_step,
    both_fail,
    both_are_at_fault,
    second_fails,
    first_is_at_fault,
    second_is_interrupted,
    unused_weights,
    pupil_gradients,
)


def play(scene: Callable[[Processes], object]) -> dict[str, object]:
    """One command, and how it ends here."""
    result, code = None, 0
    with redirect_stderr(io.StringIO()) as said:
        try:
            with join_processes("cpu") as processes:
                result = scene(processes)
        except BaseException as error:  # as the command line does
            code = explain(error, debug=False)
    return {"result": result, "code": code, "said": said.getvalue()}


def main() -> None:
    """Play all scenes; what is found is written before the last, which the second one leaves."""
    found = {scene.__name__: play(scene) for scene in SCENES}
    path = Path(f"process-{rank()}.json")
    path.write_text(json.dumps(found))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun would end this one as well
    found["second_is_killed"] = play(second_is_killed)
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
