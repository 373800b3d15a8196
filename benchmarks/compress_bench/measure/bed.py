"""Where everything of one bench is measured, and how a job is put to the runner."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.errors import BenchError, RunnerLostError
from compress_bench.evidence import Gap, Variant
from compress_bench.jobs.listening import Event
from compress_bench.profiles import Profile
from compress_bench.targets import Stream

Advance = Callable[[float], None]


class Clock:
    """What is left of the time cap."""

    def __init__(self, seconds: float) -> None:
        """It runs from here."""
        self._begun = time.monotonic()
        self._end = self._begun + seconds

    def left(self) -> float:
        """Seconds until the cap, 0 beyond it."""
        return max(0.0, self._end - time.monotonic())

    def spent(self) -> float:
        """Seconds until now, beyond the cap too."""
        return time.monotonic() - self._begun


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Where and how everything of one bench is measured.

    Attributes:
        target: starts the runner.
        threads: CPU threads of one inference, where a variant has no number of its own.
        batch_size: images an inference.
        seed: of inputs and of the order within rounds.
        profile: how much is measured.
        clock: the time cap.
        runtimes: files of the runtimes beside onnxruntime, by name.
    """

    target: Stream
    threads: int
    batch_size: int
    seed: int
    profile: Profile
    clock: Clock
    runtimes: Mapping[str, Path] = field(default_factory=dict)

    def listen(self, job: Mapping[str, Any]) -> Iterator[Event]:
        """Put a job to the runner; its events, and its end with the listener's."""
        with closing(self.target(job)) as events:
            yield from events


def job(
    kind: str, bed: Bed, models: Iterable[Mapping[str, Any]], *, seed: int | None = None
) -> dict[str, Any]:
    """What every job of `kind` holds; a kind adds its own."""
    models = list(models)
    runtimes = {model.get("runtime", "onnxruntime") for model in models}
    return {
        "kind": kind,
        "threads": bed.threads,
        "batch_size": bed.batch_size,
        "seed": bed.seed if seed is None else seed,
        "warm_up_seconds": bed.profile.warm_up_seconds,
        "block_seconds": bed.profile.block_seconds,
        "block_inferences": bed.profile.block_inferences,
        "runtimes": {n: str(p) for n, p in bed.runtimes.items() if n in runtimes},
        "models": models,
    }


def model(variant: Variant, name: str | None = None) -> dict[str, Any]:
    """A variant as jobs hold it, under another `name` if it is the copy."""
    spec = variant.preprocessing
    return {
        "variant": name or variant.name,
        "path": str(variant.path.resolve()),
        "runtime": variant.runtime,
        "threads": variant.threads,
        "session": dict(variant.session),
        "shapes": {name: list(shape) for name, shape in variant.input_shapes.items()},
        "preprocessing": None if spec is None else spec.to_dict(),
    }


def cut(kind: str, variant: Variant, done: int, planned: int) -> Gap:
    """What the time cap left out of processes that were planned."""
    left = f"{done} of {planned} processes" if done else "no time for it"
    return Gap(
        kind=kind,
        variant=variant.name,
        flag="time_cap",
        reason=f"the time cap left {left}; give a longer --time-cap",
    )


def lost(kind: str, variant: Variant, death: RunnerLostError) -> Gap:
    """What died with its process."""
    return Gap(kind=kind, variant=variant.name, flag="lost_process", reason=f"{death}; bench again")


def not_finite(variant: Variant, given: str) -> BenchError:
    """The error of outputs that hold NaN or infinity for what was `given`."""
    return BenchError(
        f"{variant.name}: expected finite outputs, found NaN or infinity for {given}; "
        f"{variant.path.name} is broken, export it again"
    )


def throttled(states: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a thermal or power limit bit between the first and the last state.

    A machine that tells of neither, with None, is no evidence of one.
    """
    counts = [s["throttle_count"] for s in states if s["throttle_count"] is not None]
    counted = bool(counts) and counts[-1] > counts[0]
    return counted or any(state["firmware_throttled"] for state in states)
