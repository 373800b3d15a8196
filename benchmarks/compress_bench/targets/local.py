"""This machine: the runner in a fresh process for each job."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from compress.errors import UsageError
from compress_bench import runner
from compress_bench.jobs.listening import Event, listen, obituary
from compress_bench.targets import LOCAL, Place

if TYPE_CHECKING:
    from compress.progress import Progress

RUNNER = str(Path(runner.__file__))


@contextmanager
def open_place(reference: str, progress: "Progress") -> Iterator[Place]:
    """This machine is always ready.

    Raises:
        UsageError: more than its name was given.
    """
    if reference != LOCAL:
        raise UsageError(f"--target {reference}: expected {LOCAL} alone; leave the rest out")
    yield Place(LOCAL, stream)


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
    # -P: this folder's statistics.py must not stand in for the standard library's.
    yield from stream_command([*prefix, sys.executable, "-P", RUNNER], job)


def stream_command(
    command: Sequence[str],
    job: Mapping[str, Any],
    how: Callable[[int, str], str] = obituary,
    where: str = "",
) -> Generator[Event, None, None]:
    """The same by any command of this machine that runs the runner.

    Args:
        command: whose last argument is the runner.
        job: for the runner.
        how: says how it ended, from its status and what it wrote to standard error.
        where: what it runs on, if that is not this machine itself.
    """
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stderr,
        _start(command, job, stdin, stderr) as process,
    ):

        def how_it_ended() -> str:
            status = process.wait()
            stderr.seek(0)
            return how(status, stderr.read().decode(errors="replace"))

        assert process.stdout is not None
        try:
            yield from listen(process.stdout, how_it_ended, where)
        finally:
            process.kill()


def _start(
    command: Sequence[str], job: Mapping[str, Any], stdin: IO[bytes], stderr: IO[bytes]
) -> "subprocess.Popen[str]":
    # Files, not pipes: neither side ever waits for the other.
    stdin.write(json.dumps(job).encode())
    stdin.seek(0)
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
    )
