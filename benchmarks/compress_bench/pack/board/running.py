"""One job in a fresh process of this Python, its events kept, its end told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

from compress.errors import BenchError, RunnerLostError
from compress_bench.jobs.listening import Event, listen, obituary

RUNNER = "runner.py"
FILE_FIELDS = ("evaluation", "preprocess", "golden")

Json = Dict[str, Any]


def run_job(job: Json, folder: Path, heard: Callable[[Event], None]) -> Json:
    """Put a job to the runner.

    Args:
        job: its files are plain names.
        folder: where they lie, and the runner.
        heard: told of each event as it comes.

    Returns:
        status: done, failed (the runner says why) or lost (it died); reason: in a sentence;
        events: those that came.
    """
    events: List[Event] = []
    status, reason = "done", ""
    try:
        for event in _events(with_paths(job, folder), folder):
            events.append(event)
            heard(event)
    except RunnerLostError as error:
        status, reason = "lost", str(error)
    except BenchError as error:
        status, reason = "failed", str(error)
    return {"status": status, "reason": reason, "events": events}


def with_paths(job: Json, folder: Path) -> Json:
    """The job with the paths that its files have here."""
    moved = dict(job)
    moved["models"] = [dict(m, path=str(folder / m["path"])) for m in job["models"]]
    for field in FILE_FIELDS:
        if field in job:
            moved[field] = str(folder / job[field])
    return moved


def _events(job: Json, folder: Path) -> Any:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(json.dumps(job).encode("utf-8"))
        stdin.seek(0)
        process = subprocess.Popen(
            [sys.executable, str(folder / RUNNER)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            universal_newlines=True,
            env=dict(os.environ, ORT_DISABLE_TELEMETRY="1"),
        )

        def how_it_ended() -> str:
            status = process.wait()
            stderr.seek(0)
            return obituary(status, stderr.read().decode("utf-8", "replace"))

        assert process.stdout is not None
        try:
            yield from listen(process.stdout, how_it_ended)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
