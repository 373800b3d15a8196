"""What is trained, on what, and how: all that stays the same while a network learns."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from compress.data.dataset import Split
from compress.preprocess import Preprocessing
from compress.settings import Training
from compress.training.batches import Batch, BatchPlan
from compress.training.processes import ALONE, Processes
from compress.training.pupil import Outputs, Pupil
from compress.training.state import STATE

__all__ = ["Job", "Objective", "Outputs", "Terms"]

# The weighted terms of a part's loss, by name. Each is the part's share of the mean over the whole
# step; the sum over terms and parts is what is minimised.
Terms = Mapping[str, torch.Tensor]
Objective = Callable[[Batch, Outputs], Terms]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train.

    Attributes:
        title: what the progress bar and errors call it.
        module: the network, on its device.
        preprocessing: what its images go through.
        plan: how they become batches.
        validation: what the history is measured on.
        objective: from a batch and the network's outputs to the weighted terms of the loss.
        settings: the schedule.
        epochs: passes over the plan's images.
        folder: where the state is kept.
        evaluation_size: height and width at which images are read to be evaluated.
        processes: who trains it together.
        keep_going: given the validation accuracy after each epoch so far, says whether to train on;
            None trains to the end.
        pupil: what is trained and called in place of `module`, which it holds; None for `module`.
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
    evaluation_size: tuple[int, int]
    processes: Processes = ALONE
    keep_going: Callable[[Sequence[float]], bool] | None = None
    pupil: Pupil | None = None

    def trained(self) -> nn.Module:
        """What is called in training and whose parameters are updated."""
        return self.module if self.pupil is None else self.pupil

    def copied(self) -> "Job":
        """The same training of a copy of the network, by one process."""
        # As one: the copied pupil holds the copied network, and hears its hooks.
        module, pupil = copy.deepcopy((self.module, self.pupil))
        return replace(self, module=module, pupil=pupil, processes=ALONE)

    def total_steps(self) -> int:
        """Steps over all epochs."""
        return self.epochs * self.plan.steps()

    def last_state(self, name: str = STATE) -> str:
        """Where the last good state lies, in words for an error."""
        path = self.folder / name
        return f"the last good state is {path}" if path.is_file() else "no state was saved yet"
