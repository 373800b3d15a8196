"""Ctrl-C and SIGTERM stop a training between two steps, so that it can save first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Stop:
    """Whether the user or the system asked to stop.

    Attributes:
        requested: set by the first signal; a second one interrupts at once.
    """

    requested: bool = False


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Turn the first signal into a request; outside the main thread nothing changes."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
