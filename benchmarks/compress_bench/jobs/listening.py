"""The runner's lines as events, and its end as an error that names what it was busy with.

Python 3.8 and the standard library alone: the packed file listens on a board with it.
"""

from __future__ import annotations

import json
import re
import signal
from typing import Any, Callable, Dict, Iterable, Iterator, Union

from compress.errors import BenchError, RunnerLostError

Event = Dict[str, Any]


def listen(
    lines: Iterable[Union[str, bytes]], how_it_ended: Callable[[], str], where: str = ""
) -> Iterator[Event]:
    """Yield the runner's events as they come, up to its last word.

    Args:
        lines: of its standard output.
        how_it_ended: called where the lines end without a last word; see `obituary`.
        where: the machine that it runs on, where it is not this one.

    Raises:
        BenchError: the runner failed; names the model it was busy with.
        RunnerLostError: it died; the events before were yielded.
    """
    last: Event = {}
    for event in _events(lines):
        if event["event"] == "phase":
            last = event
        elif event["event"] == "error":
            raise BenchError(f"{_subject(last, where)}: {first_sentence(event)}")
        elif event["event"] == "done":
            return
        else:
            yield event
    raise RunnerLostError(f"{_subject(last, where)}: the measuring process {how_it_ended()}")


def _events(lines: Iterable[Union[str, bytes]]) -> Iterator[Event]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return  # cut off in mid-line: the process or the link is gone


def obituary(status: int, errors: str) -> str:
    """How a process ended that had no last word.

    Args:
        status: below zero the signal that killed it, as `subprocess` has it.
        errors: what it wrote to standard error.
    """
    how = f"ended with status {status}"
    if status == -signal.SIGILL:
        how = "met an illegal instruction: this onnxruntime does not support this processor"
    elif status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    words = errors.strip().split("\n")[-1].strip() or "none"
    return f"{how}; its last words: {words}"


def _subject(phase: Event, where: str) -> str:
    if not phase:
        return where or "the runner"
    place = f" on {where}" if where else ""
    return f"{phase['variant']} ({phase['phase']}){place}"


def first_sentence(event: Event) -> str:
    """What an error or failed event says, without onnxruntime's own code."""
    first = str(event["message"]).strip().split("\n")[0]
    return without_signatures(first) or str(event["type"])


def without_signatures(message: str) -> str:
    """What onnxruntime says, without its code, source line, C++ function and failed assertion."""
    code = r"^\[ONNXRuntimeError\] : \d+ : \w+ : "
    place = r"\S+\.(?:h|cc|cpp|cu):\d+ "
    function = r"(?:[^()]*::[\w~]+\([^()]*\)(?: const)?(?: \[with [^\]]*\])? |[\w:]+ )"
    assertion = r"(?:[^.]* was false\. (?=\S))?"
    return re.sub(f"{place}{function}{assertion}", "", re.sub(code, "", message))
