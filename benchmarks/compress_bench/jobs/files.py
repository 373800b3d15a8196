"""Which files of this machine a job names, so that they can be put where the runner runs."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FIELDS = ("evaluation", "preprocess", "golden", "examiner")


def files_of(job: Mapping[str, Any]) -> Iterator[Path]:
    """Every file that a job names, models first; a model's external data is not among them."""
    for model in job.get("models", ()):
        yield Path(model["path"])
    yield from (Path(path) for path in job.get("runtimes", {}).values())
    yield from (Path(job[field]) for field in FIELDS if field in job)
    for part in job.get("jobs", ()):
        yield from files_of(part)


def put_elsewhere(job: Mapping[str, Any], place: Callable[[Path], str]) -> dict[str, Any]:
    """The same job with other paths.

    Args:
        job: as the runner takes it.
        place: where each file of `files_of` is.
    """
    moved = dict(job)
    if "models" in job:
        moved["models"] = [model | {"path": place(Path(model["path"]))} for model in job["models"]]
    if "runtimes" in job:
        moved["runtimes"] = {name: place(Path(path)) for name, path in job["runtimes"].items()}
    moved |= {field: place(Path(job[field])) for field in FIELDS if field in job}
    if "jobs" in job:
        moved["jobs"] = [put_elsewhere(part, place) for part in job["jobs"]]
    return moved
