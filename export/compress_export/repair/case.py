"""What the steps of a repair hand to each other: an attempt, what came of it, and its case."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.intervals import Interval, paired_difference
from compress_bench.subjects.evaluation_set import balanced_indices
from compress_export.bundle import STUDENT_INT8
from compress_export.evaluation import View
from compress_export.proof.quality import mean_kl
from compress_export.quantizers.pair_projection import SafeWeight, safe_weights
from compress_export.quantizers.static_qdq import quantize
from compress_export.ranges import Found, calibration_inputs, find_network_ranges
from compress_export.sources import Source
from compress_export.work import Result, Work


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One way to quantise the student: all that decides its int8 graph.

    Attributes:
        core: float32 graph, ready to be quantised.
        weights: of `core`, by name, as they are to be written.
        found: the ranges of its activations.
        floats: names of nodes that are left in float beside those that always are.
        exact: float32 graph that answers as the student does, where the biases of `core` were
            corrected; None where `core` does itself.
    """

    core: onnx.ModelProto
    weights: Mapping[str, SafeWeight]
    found: Found
    floats: tuple[str, ...] = ()
    exact: onnx.ModelProto | None = None

    @property
    def reference(self) -> onnx.ModelProto:
        """The float32 graph that the int8 one is to resemble."""
        return self.exact or self.core

    def graph(self) -> onnx.ModelProto:
        """The quantised graph."""
        return quantize(self.core, self.found.ranges, self.weights, self.floats)


@dataclass(frozen=True, kw_only=True)
class Looked:
    """An attempt, and how it does on validation.

    Attributes:
        attempt: what was tried.
        graph: its int8 graph.
        logits: its answers on the validation split, float32 [N, classes].
        drop: float32's accuracy less its own, paired, a fraction.
        kl: mean over the images of KL(float32 ‖ int8), nats.
    """

    attempt: Attempt
    graph: onnx.ModelProto
    logits: NDArray[np.float32]
    drop: Interval
    kl: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """A student to be quantised within a budget.

    Attributes:
        work: what is asked for.
        source: the student.
        teacher: whose answers training distils from; None where there is none.
        float32: the student's float32 form, against which a drop is counted.
        seen: attempts that were looked at, so that no graph is evaluated twice.
    """

    work: Work
    source: Source
    teacher: Source | None
    float32: Result
    seen: dict[bytes, Looked] = field(default_factory=dict)

    @property
    def budget(self) -> float:
        """What int8 may cost, a fraction of the validation images."""
        return self.work.settings.max_drop / 100

    def view(self) -> View:
        """The validation images, as the student gets them."""
        return self.work.view(self.work.dataset.validation, self.source.preprocessing)

    def look(self, attempt: Attempt, title: str = "int8: evaluating") -> Looked:
        """Quantise, and hold the answers on all validation images against float32's."""
        graph = attempt.graph()
        key = graph.SerializeToString(deterministic=True)
        if key not in self.seen:
            logits = self.work.logits(STUDENT_INT8, graph, self.view(), title)
            self.seen[key] = self.judged(attempt, graph, logits)
        return replace(self.seen[key], attempt=attempt)

    def judged(
        self, attempt: Attempt, graph: onnx.ModelProto, logits: NDArray[np.float32]
    ) -> Looked:
        """What answers on the validation split, float32 [N, classes], come to."""
        labels, before = self.work.dataset.validation.labels, self.float32.logits
        right, still_right = (rows.argmax(axis=1) == labels for rows in (before, logits))
        return Looked(
            attempt=attempt,
            graph=graph,
            logits=logits,
            drop=paired_difference(right, still_right),
            kl=mean_kl(before, logits),
        )

    def meets(self, found: Looked) -> bool:
        """Whether an attempt keeps the budget on validation, by its value."""
        return found.drop.value <= self.budget + 1e-12  # 0.3 points of 1,000 images are 3

    def ranges(
        self, core: onnx.ModelProto, weights: Mapping[str, SafeWeight], method: str
    ) -> Found:
        """The ranges of a graph's activations, read by one method."""
        return find_network_ranges(
            self.work, self.source, core, self.float32, weights, method=method
        )

    def prepared(self, core: onnx.ModelProto, like: Attempt) -> Attempt:
        """An attempt with a changed graph: weights rounded and ranges found anew.

        By the method that was asked for, as long as `like` keeps to it; else by the best of all,
        since another graph may be served by another one.
        """
        weights, asked = safe_weights(core), self.work.settings.calibration
        found = self.ranges(core, weights, asked if like.found.method == asked else "auto")
        return replace(like, core=core, weights=weights, found=found, exact=None)

    def calibration_inputs(
        self, core: onnx.ModelProto, images: int, title: str
    ) -> Iterator[NDArray[Any]]:
        """Training images of all classes alike as a graph takes them, batch by batch."""
        split = self.work.dataset.train
        chosen = balanced_indices(split.labels, images, self.work.seed)
        view = self.work.view(split, self.source.preprocessing)
        return calibration_inputs(self.work, view, core, chosen, title)
