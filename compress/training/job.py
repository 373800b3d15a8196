"""What is trained, on what, and how: all that stays the same while a network learns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from compress.data.dataset import Split
from compress.preprocess import Preprocessing
from compress.settings import Training
from compress.training.batches import Batch, BatchPlan
from compress.training.processes import ALONE, Processes
from compress.training.state import STATE

# The weighted terms of a part's loss, by name. Each is the part's share of the mean over the whole
# step; the sum over terms and parts is what is minimised.
Terms = Mapping[str, torch.Tensor]
Objective = Callable[[Batch, torch.Tensor], Terms]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train.

    Attributes:
        title: what the progress bar and errors call it.
        module: the network, on its device.
        preprocessing: what its images go through.
        plan: how they become batches.
        validation: what the history is measured on.
        objective: from a batch and the student's logits to the weighted terms of the loss.
        settings: the schedule.
        epochs: passes over the plan's images.
        folder: where the state is kept.
        evaluation_size: height and width at which images are read to be evaluated.
        processes: who trains it together.
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

    def total_steps(self) -> int:
        """Steps over all epochs."""
        return self.epochs * self.plan.steps()

    def last_state(self, name: str = STATE) -> str:
        """Where the last good state lies, in words for an error."""
        path = self.folder / name
        return f"the last good state is {path}" if path.is_file() else "no state was saved yet"
