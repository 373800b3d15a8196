"""What was measured, before any statistics: what metrics compute from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.preprocess import Preprocessing
from compress_bench.answers import Answers
from compress_bench.statistics import Resolution, Round, log_ratios, resolution

COPY = "reference again"  # the A/A copy; no variant's name has a space


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One ONNX file and what is known of it.

    Attributes:
        name: how goals and reports call it.
        path: the file.
        role: teacher, student, baseline or student_int8; the name for a file of unknown role.
        network: architecture, or the file's name.
        precision: float32, int8, or None where the file does not say.
        sha256: of the file.
        size_bytes: of the file.
        parameters: number of weights, or None where the file does not say.
        preprocessing: how images become its input; None without image-shaped input.
        channels_last: whether that input is [batch, height, width, c].
        output: logits, scores or label; None where the file does not say.
        session: recommended onnxruntime settings.
    """

    name: str
    path: Path
    role: str
    network: str
    precision: str | None
    sha256: str
    size_bytes: int
    parameters: int | None
    preprocessing: Preprocessing | None
    channels_last: bool = False
    output: str | None = None
    session: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestImages:
    """The images that accuracy is measured on.

    Attributes:
        reference: where they come from.
        path: .npz with `images` and `labels`, for the runner.
        images: uint8 [N, H, W, C].
        labels: int64 [N].
        classes: names in the order of the labels.
    """

    __test__ = False  # pytest: not a test

    reference: str
    path: Path
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LatencyProcess:
    """One fresh process's latency.

    Attributes:
        rounds: seconds of each inference per variant (and COPY), per round.
        wall_over_cpu: elapsed by CPU time within blocks; 1 is a thread that never waits.
        switches_per_second: how often the kernel took the CPU away, within blocks.
        others: cores that other processes kept busy meanwhile.
        stolen: cores' worth of time that a hypervisor gave to other machines.
        load: the system's load average at the end; None where it has none.
        throttled: whether a thermal or power limit bit.
        unsteady: variants whose warm-up ran into its time cap.
    """

    rounds: tuple[Round, ...]
    wall_over_cpu: float
    switches_per_second: float
    others: float
    stolen: float
    load: float | None
    throttled: bool
    unsteady: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FreshProcess:
    """One variant alone in a fresh process: memory in bytes and cold start in seconds."""

    baseline_bytes: int | None
    peak_bytes: int | None
    model_bytes: int | None
    import_seconds: float
    session_seconds: float
    first_seconds: float
    second_seconds: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything measured in one bench.

    Attributes:
        reference: the variant that the others are compared with.
        variants: in the order of the report.
        batch_size: images an inference.
        latency: one entry per process.
        fresh: per variant, one entry per process.
        images: None where no images were given.
        answers: of each variant to each image; empty without images.
    """

    reference: str
    variants: Mapping[str, Variant]
    batch_size: int
    latency: tuple[LatencyProcess, ...]
    fresh: Mapping[str, tuple[FreshProcess, ...]]
    images: TestImages | None
    answers: Mapping[str, Answers]

    def predictions(self, variant: str) -> NDArray[np.int64]:
        """The class that it names: int64 [N]."""
        return self.answers[variant].labels

    def right(self, variant: str) -> NDArray[np.bool_]:
        """Whether each image's class was found: bool [N]."""
        assert self.images is not None
        return np.equal(self.predictions(variant), self.images.labels)

    def samples(self, variant: str) -> list[NDArray[np.float64]]:
        """Seconds of every timed inference, per process."""
        return [np.concatenate([r[variant] for r in p.rounds]) for p in self.latency]

    def raw_samples(self, variant: str) -> list[list[float]]:
        """The same as JSON holds it; each round has an equal share of a process's samples."""
        # Nanoseconds are what the clock gives; more digits only swell the file.
        return [np.round(samples, 9).tolist() for samples in self.samples(variant)]

    def log_ratios(self, over: str, under: str) -> NDArray[np.float64]:
        """Paired log ratio of block medians per process: [processes]."""
        return log_ratios([p.rounds for p in self.latency], over, under)

    @cached_property
    def resolution(self) -> Resolution:
        """What the reference against its own copy shows."""
        return resolution(self.log_ratios(self.reference, COPY))
