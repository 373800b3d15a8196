"""This machine: the runner in a fresh process for each job."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from compress.errors import BenchError, RunnerLostError
from compress_bench import runner

Event = dict[str, Any]


def stream(job: Mapping[str, Any], prefix: Sequence[str] = ()) -> Generator[Event, None, None]:
    """Start the runner on a job and yield its events as they come.

    The process ends with the iterator: when it is exhausted, closed, or left by Ctrl-C.

    Args:
        job: for the runner.
        prefix: a command that runs the rest of its arguments.

    Raises:
        BenchError: the runner failed; names the model it was busy with.
        RunnerLostError: it died; the events before were yielded.
    """
    last: Event = {}
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stderr,
        _start(job, prefix, stdin, stderr) as process,
    ):
        try:
            for event in _events(process):
                if event["event"] == "phase":
                    last = event
                elif event["event"] == "error":
                    raise BenchError(f"{_subject(last)}: {_said(event)}")
                elif event["event"] == "done":
                    return
                else:
                    yield event
            raise RunnerLostError(_obituary(last, process.wait(), stderr))
        finally:
            process.kill()


def _start(
    job: Mapping[str, Any], prefix: Sequence[str], stdin: IO[bytes], stderr: IO[bytes]
) -> "subprocess.Popen[str]":
    # Files, not pipes: neither side ever waits for the other.
    stdin.write(json.dumps(job).encode())
    stdin.seek(0)
    # -P: this folder's statistics.py must not stand in for the standard library's.
    command = [*prefix, sys.executable, "-P", str(Path(runner.__file__))]
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment,
    )


def _events(process: "subprocess.Popen[str]") -> Iterator[Event]:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return  # cut off in mid-line: the process is gone


def _subject(phase: Event) -> str:
    if not phase:
        return "the runner"
    return f"{phase['variant']} ({phase['phase']})"


def _said(event: Event) -> str:
    first = str(event["message"]).strip().split("\n")[0]
    return without_signatures(first) or str(event["type"])


def without_signatures(message: str) -> str:
    """What onnxruntime says, without its code, source line, C++ function and failed assertion."""
    code = r"^\[ONNXRuntimeError\] : \d+ : \w+ : "
    place = r"\S+\.(?:h|cc|cpp|cu):\d+ "
    function = r"(?:[^()]*::[\w~]+\([^()]*\)(?: const)?(?: \[with [^\]]*\])? |[\w:]+ )"
    assertion = r"(?:[^.]* was false\. (?=\S))?"
    return re.sub(f"{place}{function}{assertion}", "", re.sub(code, "", message))


def _obituary(phase: Event, status: int, stderr: IO[bytes]) -> str:
    """One sentence on a runner that ended without a last word."""
    how = f"ended with status {status}"
    if status == -signal.SIGILL:
        how = "met an illegal instruction: this onnxruntime does not support this processor"
    elif status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    stderr.seek(0)
    words = stderr.read().decode(errors="replace").strip().split("\n")[-1].strip() or "none"
    return f"{_subject(phase)}: the measuring process {how}; its last words: {words}"
