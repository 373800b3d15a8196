"""All steps of a plan in turn, under its time cap, each kept with its raw events."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from compress_bench.jobs.listening import Event
from compress_bench.machine import describe_machine
from compress_bench.pack.board.running import run_job

Json = Dict[str, Any]
Say = Callable[[str], None]

MOST_LOST = 2  # latency processes that others may take the place of, as in bench
NAMES = {
    "inspect": "opening the models",
    "outputs": "golden outputs",
    "predict": "test images",
    "memory": "memory and cold start",
    "latency": "latency",
    "paced": "frames",
    "sustained": "sustained",
    "layers": "layers",
    "counts": "counters",
}


class Measurement:
    """What came of a plan so far.

    Attributes:
        entries: one a job that was done or that was left out: key, status, reason, events.
        machine: as `describe_machine` has it; None until the runner has told.
        interrupted: whether Ctrl-C ended it.
    """

    def __init__(self, plan: Json, folder: Path, say: Say) -> None:
        """Nothing runs yet.

        Args:
            plan: steps, and the profile with its time cap.
            folder: where the packed files lie.
            say: told of progress.
        """
        self.entries: List[Json] = []
        self.machine: Optional[Json] = None
        self.interrupted = False
        self._steps: List[Json] = plan["steps"]
        self._folder = folder
        self._say = say
        self._end = time.monotonic() + float(plan["profile"]["time_cap_seconds"])
        self._short = False  # once the time was short, all that can be is left out
        self._took, self._guessed = 0.0, 0.0  # seconds of the steps so far
        self._heard: List[Event] = []  # of the step that runs

    def run(self) -> None:
        """Do every step that bench would; where the models do not open, none but the first."""
        for index, step in enumerate(self._steps):
            self._heard = []
            try:
                self._step(index, step)
            except KeyboardInterrupt:
                self._stop(step)
            if index == 0 and self.entries[0]["status"] != "done":
                return

    def memory_of(self, name: str, field: str) -> List[int]:
        """One field of memory, of each process that had this variant alone and knows it."""
        found = [
            event[field]
            for entry in self.of("memory")
            for event in entry["events"]
            if event["event"] == "memory" and event["variant"] == name
        ]
        return [value for value in found if value is not None]

    def of(self, kind: str) -> List[Json]:
        """The entries of one kind of job."""
        return [entry for entry in self.entries if entry["key"]["kind"] == kind]

    def is_emulated(self) -> bool:
        """Whether the processor is played by another one, so that its times mean nothing."""
        return self.machine is not None and bool(self.machine["emulated"])

    # -------------------------------------------------------------------------------- conditions

    def _is_wanted(self, step: Json) -> bool:
        """Whether bench would do it, were there time."""
        if step["timed"] and self.is_emulated():
            return False
        if step["processes"]:
            return self._missing(step) > 0 and not self._is_hopeless()
        last: Json = self.entries[-1] if self.entries else {"status": "", "events": []}
        counted = any(e.get("source") or e.get("energy_source") for e in last["events"])
        return {
            "": True,
            "done": bool(last["status"] == "done"),
            "counted": counted,
            "counted or lost": counted or last["status"] == "lost",
        }[step["after"]]

    def _missing(self, step: Json) -> int:
        """Latency processes that are still to finish."""
        whole = [entry for entry in self.of("latency") if entry["status"] == "done"]
        return int(step["processes"]) - len(whole)

    def _is_hopeless(self) -> bool:
        """Whether latency processes die too often, or at once, or refuse."""
        ended = [e for e in self.of("latency") if e["status"] in ("lost", "failed")]
        return len(ended) > MOST_LOST or not all(has_rounds(entry) for entry in ended)

    def _why_not(self, step: Json) -> str:
        """Why a step is left out; empty where it is not."""
        if self.interrupted:
            return "it was interrupted"
        left = self._end - time.monotonic()
        self._short = self._short or left <= max(0.0, float(step["least_seconds"]))
        if self._short and not step["always"]:
            return "the time cap left no time for it"
        return ""

    # ------------------------------------------------------------------------------------- doing

    def _step(self, index: int, step: Json) -> None:
        """One step, or the reason why it is left out."""
        if not self._is_wanted(step):
            return
        reason = self._why_not(step)
        if reason:
            self._keep(step, {"status": "skipped", "reason": reason, "events": []})
            return
        self._say(self._progress(index))
        job, begun = dict(step["job"]), time.monotonic()
        left = max(0.0, self._end - begun)
        if self.is_emulated():
            job.update(step["played"])
        if step["processes"] or step["share"]:
            job["budget_seconds"] = left / (step["share"] or self._missing(step))
        self._keep(step, run_job(job, self._folder, self._heard.append))
        self._took += time.monotonic() - begun
        self._guessed += float(step["seconds"])
        if self.machine is None:
            self._look_at_the_machine()

    def _stop(self, step: Json) -> None:
        """Ctrl-C: keep what this step has told, leave out the rest."""
        self.interrupted = True
        self._say("interrupted; what was measured is kept")
        if not self.entries or self.entries[-1]["key"] is not step["key"]:
            self._keep(step, _half(self._heard))

    def _keep(self, step: Json, found: Json) -> None:
        self.entries.append(dict(found, key=step["key"]))

    def _look_at_the_machine(self) -> None:
        """Read what the first job says of it."""
        raw: Json = {}
        for event in self.entries[0]["events"]:
            if event["event"] in ("hello", "machine"):
                raw.update(event)
        if "cpuinfo" in raw:
            self.machine = describe_machine(raw)
        if self.is_emulated():  # they are the host's
            self.machine = dict(self.machine or {}, memory_bytes=None, governor=None)

    def _progress(self, index: int) -> str:
        """Which step this is, and about how long the rest takes."""
        pace = self._took / self._guessed if self._guessed else 1.0
        ahead = [step for step in self._steps[index:] if self._is_wanted(step)]
        surely = sum(step["seconds"] for step in ahead if step["always"])
        maybe = sum(step["seconds"] for step in ahead if not step["always"])
        left = pace * surely + min(pace * maybe, max(0.0, self._end - time.monotonic()))
        name = NAMES[self._steps[index]["key"]["kind"]]
        return "[%d/%d] %s; about %s left" % (index + 1, len(self._steps), name, _clock(left))


def has_rounds(entry: Json) -> bool:
    """Whether a latency process has finished one."""
    return any(event["event"] == "round" for event in entry["events"])


def _half(heard: List[Event]) -> Json:
    """An interrupted job: a latency process's finished rounds count, half of others is nothing."""
    if has_rounds({"events": heard}):
        return {"status": "lost", "reason": "it was interrupted", "events": heard}
    return {"status": "skipped", "reason": "it was interrupted", "events": []}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    return "%d min %d s" % (minutes, rest) if minutes else "%d s" % rest
