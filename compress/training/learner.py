"""All that changes while a network learns: what a saved state must hold, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compress.training.pupil import Pupil

History = list[dict[str, float]]


@dataclass
class Position:
    """How far a training has come.

    Attributes:
        step: steps done, over all epochs.
        history: a row for each epoch that is done.
        sums: of the running epoch: each figure's sum over its steps.
        seconds: that the running epoch has taken so far.
        guard: what the guard against divergence remembers.
    """

    step: int = 0
    history: History = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    guard: dict[str, float] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float]) -> None:
        """Count one more step with these figures."""
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.step += 1


@dataclass
class Best:
    """The weights that were best on validation so far.

    Attributes:
        accuracy: on validation, a fraction; below 0 before there are any.
        epoch: after which, from 1.
        weights: state dict, on the CPU.
    """

    accuracy: float = -1.0
    epoch: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class Learner:
    """A network in training.

    Attributes:
        module: the network itself.
        network: what is called in training: `module` or `pupil`, compiled or wrapped as settings
            say.
        optimizer: of its parameters.
        average: follows the weights of `module`; None where it is not asked for.
        best: kept only where it is asked for.
        pupil: holds `module` where losses look inside it; None where none does.
    """

    module: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    best: Best = field(default_factory=Best)
    pupil: Pupil | None = None

    def trained(self) -> nn.Module:
        """What has all the parameters that are updated."""
        return self.module if self.pupil is None else self.pupil

    def to_keep(self) -> nn.Module:
        """The network as it is evaluated and kept: the average, where there is one."""
        return self.module if self.average is None else self.average.module

    def keep_best(self, accuracy: float, epoch: int) -> None:
        """Remember the weights if none before were as good on validation."""
        if accuracy > self.best.accuracy:
            weights = {k: t.detach().cpu().clone() for k, t in self.to_keep().state_dict().items()}
            self.best = Best(accuracy, epoch, weights)

    def settle(self, select: str) -> None:
        """Put the weights that are kept, the last or the best, into `module`."""
        weights = self.best.weights if select == "best" else self.to_keep().state_dict()
        self.module.load_state_dict(weights)
