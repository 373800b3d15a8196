"""Steps prepared ahead of the network: by a thread of this process, or by processes of their own.

What a step holds is a pure function of its number, so who reads it, and how many of them there
are, changes nothing but the time.

Why not torch's DataLoader: each of its workers takes what comes next from a queue, and the end of
a worker is told by a signal handler that raises between any two lines of the training. Here worker
k of n reads every n-th step into a pipe of its own, and there is nothing else to share.
"""

import atexit
import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

import torch

from compress.errors import CompressError, TrainingError

T = TypeVar("T")


def ahead(read: Callable[[int], T], steps: Sequence[int], workers: int) -> Generator[T, None, None]:
    """Yield `read(step)` for each step in order, each prepared while those before it are used.

    Closing the generator ends its processes; so does dropping it.

    Args:
        read: a pure function of the step; with workers it runs in copies of this process, made at
            the first step, so that what it changes is not seen here.
        steps: the numbers to read, a range for instance.
        workers: processes that read; 0 for a thread of this one.

    Raises:
        CompressError: what `read` raised, as it was raised.
        TrainingError: a worker was ended from outside.
    """
    if workers:
        yield from _by_workers(read, steps, workers)
    else:
        yield from _one_ahead(read, steps)


def _one_ahead(read: Callable[[int], T], steps: Sequence[int]) -> Generator[T, None, None]:
    """A thread reads one step while the one before it is used."""
    if not len(steps):
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as thread:
        following = thread.submit(read, steps[0])
        for step in steps[1:]:
            ready, following = following, thread.submit(read, step)
            yield ready.result()
        yield following.result()


@dataclass(frozen=True)
class _Worker:
    """A process that reads, and the pipe by which its steps come."""

    process: ForkProcess
    connection: "Connection[Any, Any]"


@dataclass(frozen=True)
class _Failure:
    """An error on its way through a pipe; some kinds cannot be pickled as they are."""

    kind: type[Exception]
    arguments: tuple[Any, ...]


def _by_workers(
    read: Callable[[int], T], steps: Sequence[int], workers: int
) -> Generator[T, None, None]:
    crew: list[_Worker] = []
    # A thread receives: the network would else wait while a step is unpickled.
    received = _one_ahead(partial(_receive, crew), range(len(steps)))
    end = partial(_end, crew)
    atexit.register(end)  # else Python would wait for them at its own end: they heed no SIGTERM
    try:
        crew.extend(
            _start(read, steps[first::workers]) for first in range(min(workers, len(steps)))
        )
        for item in received:
            if isinstance(item, _Failure):
                raise item.kind.__new__(item.kind, *item.arguments)
            yield item
    finally:
        atexit.unregister(end)
        end()  # first, so that the thread does not wait for a step that nobody wants
        received.close()
        for worker in crew:
            worker.connection.close()


def _start(read: Callable[[int], T], steps: Sequence[int]) -> _Worker:
    """Fork: `read` and its images need no pickling, and are shared until somebody writes."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(read, steps, sending), name="loader", daemon=True)
    with _signals_held_back(), warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads: a lock that one holds stays closed in the copy.
        # A worker only reads images; it asks neither the device nor torch's threads for anything.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sending.close()
    return _Worker(process, receiving)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Fork in here, and Ctrl-C or SIGTERM to the whole group is the parent's alone to answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    read: Callable[[int], T], steps: Sequence[int], connection: "Connection[Any, Any]"
) -> None:
    """What a worker does; it waits in `send` until its step is asked for."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)  # the parent's threads are not in the copy, and the cores are taken
    with suppress(BrokenPipeError):  # the parent is gone
        for step in steps:
            connection.send(_attempt(read, step))


def _attempt(read: Callable[[int], T], step: int) -> T | _Failure:
    try:
        return read(step)
    except CompressError as error:
        return _Failure(type(error), error.args)
    except Exception:  # a fault of ours: the traceback would be lost on the way
        return _Failure(RuntimeError, (f"step {step}, in a loader:\n{traceback.format_exc()}",))


def _end_with_parent() -> None:
    """Leave nothing behind a parent that was killed; a full pipe would hold the worker for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)


def _receive(crew: Sequence[_Worker], number: int) -> Any:
    """Item `number` of all: the workers take turns."""
    worker = crew[number % len(crew)]
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(timeout=1)
        raise TrainingError(
            f"loader {number % len(crew) + 1}: expected images, found the process ended "
            f"(exit code {worker.process.exitcode}); if memory ran out, use fewer --workers"
        ) from None


def _end(crew: Sequence[_Worker]) -> None:
    """A worker only reads, so that it may be killed in the middle."""
    for worker in crew:
        worker.process.kill()
    for worker in crew:
        worker.process.join()
