"""The machine's raw facts, and what onnxruntime says of each file."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from compress_bench.jobs.listening import Event
from compress_bench.targets import Stream


def inspect(
    target: Stream, files: Mapping[str, Path], runtimes: Mapping[str, Path]
) -> tuple[Event, dict[str, Event]]:
    """The machine's raw facts, and each file's inputs, outputs and metadata, by variant.

    Args:
        target: starts the runner.
        files: ONNX files by variant.
        runtimes: files of the runtimes that must be there beside onnxruntime.

    Raises:
        BenchError: onnxruntime cannot open a file, or a runtime is missing.
    """
    machine: Event = {}
    described = {}
    with closing(target(inspect_job(files, runtimes))) as events:
        for event in events:
            if event["event"] in ("hello", "machine"):
                machine |= event
            elif event["event"] == "model":
                described[event["variant"]] = event
    return machine, described


def inspect_job(files: Mapping[str, Path], runtimes: Mapping[str, Path]) -> dict[str, Any]:
    """The job for it; one thread opens files as well as several."""
    models = [{"variant": name, "path": str(path.resolve())} for name, path in files.items()]
    return {
        "kind": "inspect",
        "threads": 1,
        "runtimes": {name: str(path) for name, path in runtimes.items()},
        "models": models,
    }
