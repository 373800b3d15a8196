"""A torch network that computes what a quantised graph says, and learns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx
import torch
from torch import nn

from compress_export.ends import ends_in_softmax
from compress_export.qat.constants import Constants, is_quantiser
from compress_export.qat.fake_quantize import Learnt
from compress_export.qat.operators import OPERATORS, Values
from compress_export.repair.case import Attempt

_LEAST_SHARE = 1e-30  # a softmax rounded to 0 has no logarithm


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One node: what it computes from which tensors."""

    compute: Callable[..., Values]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    last_read: tuple[str, ...]  # tensors that no later step reads


def missing_operators(graph: onnx.ModelProto) -> tuple[str, ...]:
    """The operators of a quantised graph that cannot be trained through, each once."""
    known = {*OPERATORS, "Constant", "QuantizeLinear", "DequantizeLinear"}
    found = {node.op_type for node in graph.graph.node if node.op_type not in known}
    return tuple(sorted(found))


class QuantizedNetwork(nn.Module):
    """The network that an int8 graph is, with weights in float that learn.

    Each QuantizeLinear and its DequantizeLinear round activations as the file does; weights and
    biases of layers are rounded from the core's float ones. BatchNorm is in them already; all other
    constants stay as they are. A graph that ends in a softmax gives its logarithm.

    Attributes:
        constants: a module for each, of which those that are `Learnt` are trained.
    """

    def __init__(self, attempt: Attempt, graph: onnx.ModelProto) -> None:
        """Read the graph.

        Args:
            attempt: whose float core has the weights.
            graph: `attempt.graph()`, without a `missing_operators`.
        """
        super().__init__()
        found = Constants(attempt, graph)
        self.constants = nn.ModuleList(found.modules.values())
        self._names = tuple(found.modules)
        self._input, self._output = graph.graph.input[0].name, graph.graph.output[0].name
        self._steps = _steps(found, graph.graph, output=self._output)
        self._is_softmax = ends_in_softmax(graph)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] of preprocessed images, float32 [B, C, H, W]."""
        values = {self._input: inputs}
        for name, constant in zip(self._names, self.constants, strict=True):
            values[name] = constant()
        for step in self._steps:
            made = step.compute(*(values[name] if name else None for name in step.inputs))
            tensors = (made,) if isinstance(made, torch.Tensor) else made
            values.update(zip(step.outputs, tensors, strict=True))
            for name in step.last_read:
                del values[name]
        logits = values[self._output]
        return logits.clamp_min(_LEAST_SHARE).log() if self._is_softmax else logits

    def learnt(self) -> Iterator[Learnt]:
        """What is trained, in the order of the graph."""
        return (constant for constant in self.constants if isinstance(constant, Learnt))


def _steps(found: Constants, graph: onnx.GraphProto, *, output: str) -> tuple[_Step, ...]:
    """The nodes that lead to the output; each forgets what none after it reads."""
    steps: list[_Step] = []
    needed = {output}
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output) or not found.modules.keys().isdisjoint(node.output):
            continue
        inputs = tuple(node.input[:1] if is_quantiser(node) else node.input)
        last_read = tuple({name: None for name in inputs if name and name not in needed})
        needed.update(last_read)
        step = _Step(
            compute=found.operator(node),
            inputs=inputs,
            outputs=tuple(node.output),
            last_read=last_read,
        )
        steps.append(step)
    return tuple(reversed(steps))
