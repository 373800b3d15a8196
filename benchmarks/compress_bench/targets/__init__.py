"""Where the runner runs: one file a kind of device, its name the scheme of `--target`.

Each file has `open_place(reference, progress)`, a context manager that yields a `Place`: it makes
the device ready, and leaves it as it found it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress.errors import UsageError
from compress.suggest import did_you_mean
from compress_bench.jobs.listening import Event

# Bench's own graphs are read without a terminal library.
if TYPE_CHECKING:
    from compress.progress import Progress

LOCAL = "local"

# A job in, its events out. Whoever listens closes it, so that Ctrl-C ends the runner at once.
Stream = Callable[[Mapping[str, Any]], Generator[Event, None, None]]


@dataclass(frozen=True)
class Place:
    """A device that is ready.

    Attributes:
        reference: as `--target` names it, without paths: local, ssh://pi@board,
            emulate:cortex-a72.
        stream: puts a job to the runner there and yields its events.
        emulates: the core type that is played there, whose times mean nothing; None: a real one.
    """

    reference: str
    stream: Stream
    emulates: str | None = None


def target_names() -> list[str]:
    """Every scheme, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def open_place(reference: str, progress: "Progress") -> AbstractContextManager[Place]:
    """Make a device ready.

    Args:
        reference: local, ssh://user@host, emulate:CORE.
        progress: where waiting is shown.

    Raises:
        UsageError: there is no such kind of device.
        BenchError: it cannot be reached or made ready.
    """
    scheme = reference.partition(":")[0]
    known = target_names()
    if scheme not in known:
        raise UsageError(
            f"--target {reference}: expected {LOCAL}, ssh://user@host or emulate:CORE; "
            f"{did_you_mean(scheme, known)}"
        )
    found: AbstractContextManager[Place] = importlib.import_module(
        f"{__name__}.{scheme}"
    ).open_place(reference, progress)
    return found
