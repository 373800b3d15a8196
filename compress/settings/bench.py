"""What bench measures and against what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.settings.expect import expect

Instructions = Literal["auto", "perf", "valgrind", "off"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Bench:
    """What bench measures and against what.

    Attributes:
        target: Where to measure: local, ssh://user@board, or emulate:cortex-a53, -a72, -a76 or
            emulate:haswell, where everything but time is checked.
        reference: Variant that the others are compared with; teacher, or the first file.
        goals: TOML file with limits per variant.
        profile: quick, standard or strict: more rounds and processes give narrower intervals.
        processes: Fresh processes; each gives one value to an interval, which takes five.
        batch_size: Images an inference.
        runtime: What runs the files: onnxruntime, openvino; several stand side by side.
        input_shape: Shape of an input whose file leaves axes open: NAME=1,3,224,224.
        fps: Feed every variant like a camera too: this many frames a second.
        sustained: Seconds that each variant runs without a pause; 60 in strict, else none.
        sweep: Try threads and spin-waiting; the best settings go into the bundle.
        layers: Time of each layer.
        instructions: What counts them: perf where the kernel allows (auto), valgrind, or nothing.
        baseline: An old report.json; a regression against it fails.
        max_increase: Percent that size and instructions may grow, and points that accuracy may
            drop, against the baseline.
        time_cap: Seconds after which nothing more is begun; what is cut short is inconclusive.
    """

    target: str = "local"
    reference: str | None = None
    goals: Path | None = None
    profile: Literal["quick", "standard", "strict"] = "standard"
    processes: int | None = None
    batch_size: int = 1
    runtime: Annotated[tuple[str, ...], Parameter(negative="")] = ("onnxruntime",)
    input_shape: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    fps: float | None = None
    sustained: float | None = None
    sweep: Annotated[bool, Parameter(negative="")] = False
    layers: bool = True
    instructions: Instructions = "auto"
    baseline: Path | None = None
    max_increase: float = 0.5
    time_cap: float | None = None

    def check(self) -> None:
        """Refuse numbers that cannot be measured with.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        known = ("quick", "standard", "strict")
        expect("profile", self.profile, self.profile in known, "one of quick, standard, strict")
        expect("batch_size", self.batch_size, self.batch_size >= 1, "1 or more")
        expect(
            "processes", self.processes, self.processes is None or self.processes >= 1, "1 or more"
        )
        expect("fps", self.fps, self.fps is None or 0 < self.fps <= 10_000, "above 0, to 10000")
        most = 86_400
        cap, run = self.time_cap, self.sustained
        expect("time_cap", cap, cap is None or 0 < cap <= most, "above 0, to 86400 seconds")
        expect("sustained", run, run is None or 1 <= run <= most, "1 to 86400 seconds")
        share = self.max_increase
        expect("max_increase", share, 0 <= share <= 1000, "a percentage from 0 to 1000")
