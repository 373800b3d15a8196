"""What was measured, before any statistics: what metrics compute from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.preprocess import Preprocessing
from compress_bench.answers import Answers
from compress_bench.graph.layers import Profiled
from compress_bench.statistics import Resolution, Round, log_ratios, missing, resolution

SplitName = Literal["validation", "test"]
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
        runtime: what runs it.
        threads: CPU threads of one inference.
        session: onnxruntime settings beyond the usual ones.
        input_shapes: of each input in one inference, by name.
        no_answers: why its accuracy cannot be measured; empty where it can.
        macs: multiply-adds of one inference of one image; None where they could not be counted.
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
    runtime: str = "onnxruntime"
    threads: int = 1
    session: Mapping[str, Any] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    no_answers: str = ""
    macs: int | None = None


@dataclass(frozen=True)
class TestImages:
    """The images that accuracy is measured on.

    Attributes:
        reference: where they come from.
        path: .npz with `images` and `labels`, for the runner.
        images: uint8 [N, H, W, C]; of a board's record without its bundle [0, H, W, C].
        labels: int64 [N].
        classes: names in the order of the labels.
        digest: `images_digest` of pixels that are not here.
        split: which images of the data they are.
    """

    __test__ = False  # pytest: not a test

    reference: str
    path: Path
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str = ""
    split: SplitName = "test"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What was planned of one variant and is not there, or not all of it.

    Attributes:
        kind: of measurement: fresh, paced, sustained, layers or counts.
        variant: whose.
        flag: time_cap or lost_process.
        reason: in a sentence, for where the number would stand.
    """

    kind: str
    variant: str
    flag: Literal["time_cap", "lost_process"]
    reason: str


@dataclass(frozen=True)
class Room:
    """How many threads compute on how many cores."""

    threads: int
    cores: int


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
        cpu_seconds: CPU time of one inference, of all threads, per variant (and COPY).
        states: the machine after each round: khz, celsius, load; None where unknown.
        capped: whether the time cap cut its rounds short.
        lost: whether its runner died or its link dropped; the finished rounds are here.
    """

    rounds: tuple[Round, ...]
    wall_over_cpu: float
    switches_per_second: float
    others: float
    stolen: float
    load: float | None
    throttled: bool
    unsteady: tuple[str, ...]
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    states: tuple[Mapping[str, float | None], ...] = ()
    capped: bool = False
    lost: bool = False

    def known(self, what: str) -> tuple[float, ...]:
        """`khz`, `celsius` or `load` after each round that knows it."""
        values = (state.get(what) for state in self.states)
        return tuple(value for value in values if value is not None)


@dataclass(frozen=True, kw_only=True)
class FreshProcess:
    """One variant alone in a fresh process: memory in bytes and cold start in seconds.

    Attributes:
        baseline_bytes: resident after the imports.
        peak_bytes: the most that was resident from there on.
        model_bytes: what the model added at the peak.
        pss_bytes: resident at the end, shared pages divided among those who share them.
        private_dirty_bytes: of them what nobody else can use and no file backs.
        python_seconds: from the process's start to the runner's first line, in steps of 10 ms.
        import_numpy_seconds: what its name says, as the next.
        import_runtime_seconds: onnxruntime, or whatever runs the variant.
        session_seconds: from the file to a session.
        first_seconds: the first inference.
        second_seconds: the second.
        finite: whether no output held NaN or infinity.
    """

    baseline_bytes: int | None
    peak_bytes: int | None
    model_bytes: int | None
    pss_bytes: int | None = None
    private_dirty_bytes: int | None = None
    python_seconds: float | None = None
    import_numpy_seconds: float
    import_runtime_seconds: float
    session_seconds: float
    first_seconds: float
    second_seconds: float
    finite: bool = True

    @property
    def import_seconds(self) -> float:
        """Both imports."""
        return self.import_numpy_seconds + self.import_runtime_seconds

    @property
    def total_seconds(self) -> float:
        """From the process's start to the first answer."""
        begun = self.python_seconds or 0.0
        return begun + self.import_seconds + self.session_seconds + self.first_seconds


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What counters say of one variant.

    Attributes:
        instructions: per inference, one number a process; empty where nothing counts them.
        source: what counted: perf_event, valgrind, or an emulator's plugin.
        reason: why nothing did.
        joules: per inference, one number a process; empty where there is no counter.
        energy_source: which counter.
        energy_reason: why there is none.
        lost: how the last process died; empty where it lived.
    """

    instructions: tuple[float, ...] = ()
    source: str = ""
    reason: str = ""
    joules: tuple[float, ...] = ()
    energy_source: str = ""
    energy_reason: str = ""
    lost: str = ""

    @property
    def repeats(self) -> bool:
        """Whether an emulated processor counted: its counts are as they are, and no sample."""
        return self.source not in ("", "perf_event")


@dataclass(frozen=True, kw_only=True)
class PacedProcess:
    """One fresh process that was fed like a camera.

    Attributes:
        period_seconds: between frames; also the time that each may take.
        seconds: from arrival to answer of each answered frame, float64 [answered].
        missed: whether a frame was dropped or answered after the next one's arrival, bool [frames].
        cpu_seconds: CPU time of all threads, over all frames.
    """

    period_seconds: float
    seconds: NDArray[np.float64]
    missed: NDArray[np.bool_]
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """One variant from idle on without a pause.

    Attributes:
        window_seconds: length of a window, as planned.
        medians: seconds of an inference, one a window.
        lengths: seconds that each window took: one inference at least; empty: as planned.
        celsius: at each window's end; empty where unknown, as the next.
        khz: clock.
        throttled: whether a thermal or power limit bit.
    """

    window_seconds: float
    medians: tuple[float, ...]
    lengths: tuple[float, ...] = ()
    celsius: tuple[float, ...] = ()
    khz: tuple[float, ...] = ()
    throttled: bool = False

    @property
    def ends(self) -> NDArray[np.float64]:
        """Seconds from idle to each window's end: float64 [windows]."""
        return np.cumsum(self.lengths or (self.window_seconds,) * len(self.medians))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything measured in one bench.

    Attributes:
        reference: the variant that the others are compared with.
        variants: in the order of the report.
        batch_size: images an inference.
        latency: one entry per process; none where nothing was timed.
        fresh: per variant, one entry per process; none likewise.
        images: None where no images were given.
        answers: of each variant to each image; empty without images.
        cores: of the machine, as far as the runner may use them.
        planned: latency processes and the rounds of each that the profile wants.
        counted: instructions and energy per variant.
        paced: per variant, one entry per process; empty without --fps.
        sustained: per variant; empty where the profile has none.
        profiles: per variant, its operators' times; empty where they were not asked for.
        capped: whether the time cap left out rounds or processes of latency.
        gaps: what of all else was planned and is not there.
        asked: which of paced, sustained and profiles the settings wanted.
        sweep: rows and what they recommend, as the report holds them; empty without --sweep.
        untimed: why neither times nor memory nor energy were measured; empty where they were.
    """

    reference: str
    variants: Mapping[str, Variant]
    batch_size: int
    latency: tuple[LatencyProcess, ...]
    fresh: Mapping[str, tuple[FreshProcess, ...]]
    images: TestImages | None
    answers: Mapping[str, Answers]
    cores: int = 1
    planned: tuple[int, int] = (0, 0)
    counted: Mapping[str, Counted] = field(default_factory=dict)
    paced: Mapping[str, tuple[PacedProcess, ...]] = field(default_factory=dict)
    sustained: Mapping[str, Sustained] = field(default_factory=dict)
    profiles: Mapping[str, Profiled] = field(default_factory=dict)
    capped: bool = False
    gaps: tuple[Gap, ...] = ()
    asked: frozenset[str] = frozenset()
    sweep: Mapping[str, Any] = field(default_factory=dict)
    untimed: str = ""

    @property
    def room(self) -> Room:
        """How many threads compute on how many cores."""
        return Room(max(v.threads for v in self.variants.values()), self.cores)

    def gap(self, kind: str, variant: str) -> Gap | None:
        """What is missing of one kind of measurement of one variant; None where nothing is."""
        return next((g for g in self.gaps if (g.kind, g.variant) == (kind, variant)), None)

    def answered(self, *variants: str) -> bool:
        """Whether there are images, and answers of each of these to them."""
        return self.images is not None and all(name in self.answers for name in variants)

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
        """What the reference against its own copy shows; nothing where nothing was timed."""
        if not self.latency:
            return Resolution(missing(self.untimed), None, self.untimed)
        return resolution(self.log_ratios(self.reference, COPY))
