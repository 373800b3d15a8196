"""From what a network gives to logits of the data's classes."""

from typing import Literal

import torch
from torch import nn

from compress.distill.teachers.class_map import ClassMap
from compress.errors import ModelError
from compress.training.evaluate import are_probabilities

Output = Literal["logits", "probabilities"]

# What a softmax rounded to 0 must stay next to nothing when the logits are divided by T: at T = 4
# this is 3e-8 of the largest, where the usual 1e-7 would be 2 % of it, for each class.
_LEAST_PROBABILITY = 1e-30


class Interpreter(nn.Module):
    """Probabilities become logits, and outputs become the data's classes.

    The logarithm of a probability is the logit less the logarithm of the softmax's sum, which is
    the same for all classes of an image: softmax(log p / T) = softmax(z / T) at every T.

    Attributes:
        output: what the network gives.
        mapping: its outputs for each class.
    """

    def __init__(self, output: Output, mapping: ClassMap) -> None:
        """Prepare the map as tensors."""
        super().__init__()
        self.output = output
        self.mapping = mapping
        largest = max(len(group) for group in mapping.outputs)
        padded = [(*group, *group[:1] * (largest - len(group))) for group in mapping.outputs]
        filled = [[0.0] * len(g) + [-torch.inf] * (largest - len(g)) for g in mapping.outputs]
        # [C, G]: the outputs of each class; what only fills a row is taken out of its sum
        self.register_buffer("_chosen", torch.tensor(padded), persistent=False)
        self.register_buffer("_padding", torch.tensor(filled), persistent=False)
        self._chosen: torch.Tensor
        self._padding: torch.Tensor

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """Float32 [B, width] to logits, float32 [B, classes]."""
        if self.output == "probabilities":
            outputs = outputs.clamp(min=_LEAST_PROBABILITY).log()
        if self.mapping.in_place():
            return outputs
        if self._chosen.shape[1] == 1:
            return outputs.index_select(1, self._chosen[:, 0])
        merged = outputs[:, self._chosen] + self._padding  # [B, C, G]
        return merged.logsumexp(2)

    def changes_nothing(self) -> bool:
        """Whether it gives back what it gets."""
        return self.output == "logits" and self.mapping.in_place()


def check_outputs(subject: str, outputs: torch.Tensor, output: Output) -> None:
    """Refuse outputs that nothing can be learnt from.

    Args:
        subject: what errors call the teacher.
        outputs: float32 [B, width], as the network gives them.
        output: what they are said to be.

    Raises:
        ModelError: NaN or infinity, or probabilities whose rows do not sum to 1.
    """
    if not bool(torch.isfinite(outputs).all()):
        raise ModelError(
            f"{subject}: expected finite {output}, found NaN or infinity; its weights have "
            "diverged, or its half precision overflows: use other weights, or a float32 file"
        )
    if output == "probabilities" and not are_probabilities(outputs):
        sums = outputs.sum(dim=1)
        raise ModelError(
            f"{subject}: expected probabilities that sum to 1, found sums from "
            f"{float(sums.min()):.3g} to {float(sums.max()):.3g}, the least output "
            f"{float(outputs.min()):.3g}; leave --teacher-output out where it gives logits"
        )


def refuse_softmax(subject: str, remedy: str) -> ModelError:
    """Outputs that are called logits and are probabilities: a second softmax would flatten them.

    Args:
        subject: what errors call the teacher.
        remedy: what the user should do.
    """
    return ModelError(
        f"{subject}: expected logits, found probabilities (every row sums to 1), so that the loss "
        f"would take the softmax of a softmax; {remedy}"
    )
