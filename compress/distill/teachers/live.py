"""A teacher that looks at every view: a frozen network, and what its outputs mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from compress.distill.teachers.interpret import Interpreter, check_outputs
from compress.preprocess import Preprocessing
from compress.training.views import ViewPlan, Views


class Network(Protocol):
    """A frozen network with its own input adapter, whatever runs it."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What its images go through."""

    def outputs(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """What it gives for uint8 [B, H, W, C]: float32 [B, width], without gradient."""

    def with_preprocessing(self, preprocessing: Preprocessing) -> "Network":
        """The same network behind another input adapter."""


@dataclass(frozen=True, kw_only=True)
class LiveTeacher:
    """See `Teacher`.

    Attributes:
        name: the reference that the user gave.
        classes: the data's.
        network: the network.
        interpreter: makes logits of the data's classes from its outputs.
        source: what the network is, as JSON without a path: kind, reference, digests.
        found: where it lies, as JSON: the rest of the manifest's record.
        normalisation_known: whether its normalisation is beyond doubt, so that none is probed.
    """

    name: str
    classes: tuple[str, ...]
    network: Network
    interpreter: Interpreter
    source: Mapping[str, Any]
    found: Mapping[str, Any]
    normalisation_known: bool

    @property
    def subject(self) -> str:
        """What errors call it."""
        return f"--teacher {self.name}"

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """See `Teacher.inputs`."""
        return (self.network.preprocessing,)

    def identity(self) -> dict[str, Any]:
        """See `Teacher.identity`."""
        return {
            **self.source,
            "preprocessing": _as_json(self.network.preprocessing),
            "output": self.interpreter.output,
            "width": self.interpreter.mapping.width,
            "class_map": self.interpreter.mapping.identity(),
            "classes": list(self.classes),
        }

    def record(self) -> dict[str, Any]:
        """See `Teacher.record`."""
        return {**self.identity(), **self.found}

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "LiveTeacher":
        """See `Teacher.bind`: it answers any view at any temperature."""
        del plan, temperature, numbers
        return self

    def logits(self, views: Views) -> torch.Tensor:
        """See `Teacher.logits`."""
        return self.interpret(self.network.outputs(views.pixels))

    @torch.no_grad()
    def interpret(self, outputs: torch.Tensor) -> torch.Tensor:
        """The network's outputs, float32 [B, width], as logits of the data's classes.

        Raises:
            ModelError: they are not what they are said to be.
        """
        check_outputs(self.subject, outputs, self.interpreter.output)
        logits: torch.Tensor = self.interpreter(outputs)
        return logits

    def with_preprocessing(self, preprocessing: Preprocessing) -> "LiveTeacher":
        """The same teacher behind another input adapter."""
        return replace(self, network=self.network.with_preprocessing(preprocessing))


def _as_json(preprocessing: Preprocessing) -> dict[str, Any]:
    """The fields with lists in place of tuples, as they come back from a file."""
    fields = preprocessing.to_dict()
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
