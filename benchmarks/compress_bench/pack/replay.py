"""The runner's place taken by a record: a job is put, and what the board heard comes back."""

import math
from collections.abc import Generator, Mapping
from typing import Any

from compress.errors import BenchError, RunnerLostError
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Clock
from compress_bench.pack.plan import key_of


class Replay:
    """The jobs of a record, put once more in the order in which the board did them."""

    def __init__(self, jobs: list[Mapping[str, Any]], *, interrupted: bool) -> None:
        """From the first one on."""
        self._jobs = jobs
        self._at = 0
        self._why = "since it was interrupted" if interrupted else "so that it is incomplete"

    def stream(self, job: Mapping[str, Any]) -> Generator[Event, None, None]:
        """The events of a job as the board heard them, and its end.

        Raises:
            BenchError: the runner refused it there.
            RunnerLostError: it died there, or was interrupted before it.
        """
        key = key_of(job)
        for index in range(self._at, len(self._jobs)):
            done = self._jobs[index]
            if done["key"] == key and done["status"] != "skipped":
                self._at = index + 1
                yield from done["events"]
                if done["status"] == "lost":
                    raise RunnerLostError(done["reason"])
                if done["status"] == "failed":
                    raise BenchError(done["reason"])
                return
        raise RunnerLostError(
            f"{', '.join(key['variants'])}: expected the board's {key['kind']} job in the record, "
            f"found none, {self._why}; run the packed file again"
        )

    def has(self, kind: str, variant: str | None = None) -> bool:
        """Whether the board did a job of a kind, to its end or at least to its first round."""
        done = [job for job in self._jobs if job["key"]["kind"] == kind]
        done = [job for job in done if variant is None or variant in job["key"]["variants"]]
        return any(job["status"] != "skipped" for job in done)

    def left(self) -> float:
        """No seconds where the board left out the next job, else more than anything takes."""
        nothing = self._at == len(self._jobs) or self._jobs[self._at]["status"] == "skipped"
        return 0.0 if nothing else math.inf


class BoardClock(Clock):
    """What the board's clock said when it came to the same place."""

    def __init__(self, replay: Replay) -> None:
        """Of one replay."""
        super().__init__(math.inf)
        self._replay = replay

    def left(self) -> float:
        """See `Replay.left`."""
        return self._replay.left()
