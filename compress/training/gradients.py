"""How hard each term of a loss pulls at the weights, seen in real steps at the start of training.

A weight of 0.5 says little by itself: a term whose gradient is a hundred times smaller than
another's does not count. So it is the gradients that are compared, not the values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from compress.models.head import keep_frozen_in_eval
from compress.training.batches import Batch, read_batch
from compress.training.evaluate import are_probabilities
from compress.training.job import Job, Objective, Outputs, Terms
from compress.training.loop import make_learner
from compress.training.step import take_step

LOPSIDED = 100  # times a term's gradient may outweigh another's before it is said


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """The terms of a loss at initialisation.

    Attributes:
        values: mean over steps of each weighted term.
        norms: mean over steps of the Euclidean norm of each term's gradient with respect to all
            trained weights of the network; connectors beside it are pulled at by their own term.
        steps: how many were measured.
        output: the shape of the network's output for a part of a step.
        is_softmax: whether its rows are probabilities, so that losses would take a second softmax.
    """

    values: Mapping[str, float]
    norms: Mapping[str, float]
    steps: int
    output: tuple[int, ...]
    is_softmax: bool

    def ratios(self) -> dict[str, float | None]:
        """The norm of each term against the cross-entropy's: "kd:ce"; None where one is 0."""
        others = [name for name in self.norms if name != "ce"] if "ce" in self.norms else []
        return {f"{name}:ce": _ratio(self.norms[name], self.norms["ce"]) for name in others}

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "steps": self.steps,
            "terms": {
                name: {"value": value, "gradient_norm": self.norms[name]}
                for name, value in self.values.items()
            },
            "gradient_ratios": self.ratios(),
        }


def weigh_terms(job: Job, steps: int = 4) -> Weighed:
    """Measure the terms over the first steps of a training; `job.module` stays as it is.

    Each term has the weight that it comes to: one that is warmed up counts as at the end.

    Args:
        job: the training.
        steps: how many, at most an epoch.

    Raises:
        TrainingError: the loss is not finite.
    """
    job = job.copied()
    trained = [p for p in job.module.parameters() if p.requires_grad]
    meter = _Meter(job.objective, trained)
    # A rate of 0 takes real steps and leaves the weights where they start; what torch compiles
    # cannot be differentiated twice.
    settings = replace(job.settings, lr=0.0, compile=False)
    job = replace(job, objective=meter, settings=settings)
    learner = make_learner(job)
    learner.network.train()
    keep_frozen_in_eval(job.trained())
    steps = min(steps, job.plan.steps())
    norms: dict[str, float] = {}
    for step in range(steps):
        parts = [read_batch(job.plan, 0, step, part) for part in range(job.plan.parts)]
        take_step(job, learner, step, [replace(part, epoch=job.epochs) for part in parts])
        for name, norm in meter.take_norms().items():
            norms[name] = norms.get(name, 0.0) + norm / steps
    return Weighed(
        values={name: total / steps for name, total in meter.values.items()},
        norms=norms,
        steps=steps,
        output=meter.output,
        is_softmax=meter.is_softmax,
    )


class _Meter:
    """An objective that also differentiates each of its terms by itself."""

    def __init__(self, objective: Objective, weights: Sequence[nn.Parameter]) -> None:
        self._objective, self._weights = objective, weights
        self._gradients: dict[str, list[torch.Tensor]] = {}
        self.values: dict[str, float] = {}
        self.output: tuple[int, ...] = ()
        self.is_softmax = False

    def __call__(self, batch: Batch, outputs: Outputs) -> Terms:
        terms = self._objective(batch, outputs)
        logits = outputs.logits
        if logits.grad_fn is not None:  # not where the loop asks for those of a silent student
            self.output = tuple(logits.shape)
            self.is_softmax = are_probabilities(logits)
            for name, term in terms.items():
                self.values[name] = self.values.get(name, 0.0) + term.item()
                self._add(name, term)
        return terms

    def _add(self, name: str, term: torch.Tensor) -> None:
        """Add a part's gradient to that of its step."""
        found: Sequence[torch.Tensor | None] = (
            torch.autograd.grad(term, self._weights, retain_graph=True, allow_unused=True)
            if term.requires_grad
            else [None] * len(self._weights)
        )
        filled = [
            torch.zeros_like(weight) if part is None else part
            for part, weight in zip(found, self._weights, strict=True)
        ]
        before = self._gradients.get(name)
        self._gradients[name] = (
            filled if before is None else [a + b for a, b in zip(before, filled, strict=True)]
        )

    def take_norms(self) -> dict[str, float]:
        """The norm of each term's gradient in the step that has just ended."""
        norms = {name: _norm(parts) for name, parts in self._gradients.items()}
        self._gradients = {}
        return norms


def _norm(parts: Sequence[torch.Tensor]) -> float:
    """Over all elements of all tensors, in float64."""
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts))


def _ratio(norm: float, other: float) -> float | None:
    return norm / other if norm > 0 and other > 0 else None


def lopsided_sentences(weighed: Weighed) -> list[str]:
    """A sentence for each term that outweighs the cross-entropy, is outweighed, or does nothing."""
    sentences = [
        f"{name} pulls at no weight that is trained: lower --freeze, or name later layers"
        for name, norm in weighed.norms.items()
        if name != "ce" and norm == 0 < weighed.values.get(name, 0.0)
    ]
    for pair, ratio in weighed.ratios().items():
        name = pair.removesuffix(":ce")
        if ratio is not None and not 1 / LOPSIDED <= ratio <= LOPSIDED:
            strong, weak = (name, "ce") if ratio > 1 else ("ce", name)
            times = max(ratio, 1 / ratio)
            sentences.append(
                f"{strong} pulls at the weights {times:,.0f} times as hard as {weak} at the start, "
                f"which then hardly counts: lower {_weight_of(strong)} or raise {_weight_of(weak)}"
            )
    return sentences


def _weight_of(term: str) -> str:
    """What a user calls a term's weight: a flag, or a key of the method's block."""
    return f"--{term}-weight" if term in ("kd", "ce") else f"the weight of {term}"
