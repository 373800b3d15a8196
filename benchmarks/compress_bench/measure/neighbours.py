"""Whether another bench is under way on the machine that is measured; this one is then told of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from compress_bench.remote.lock import explain_lock, take_lock, who
from compress_bench.targets import LOCAL


@contextmanager
def hold_machine(target: str) -> Iterator[tuple[str, ...]]:
    """Keep boards' benches (ssh, packed files) away from this machine while it measures itself.

    A bench of this machine is not refused: whoever starts two knows of both.

    Args:
        target: where it is measured; elsewhere the lock is not this machine's.

    Yields:
        Notes for the report.
    """
    if target != LOCAL:
        yield ()
        return
    lock, notes = _take()
    try:
        yield notes
    finally:
        if lock is not None:
            os.close(lock)


def _take() -> tuple[int | None, tuple[str, ...]]:
    try:
        lock, held = take_lock(f"{who()} with compress bench")
    except ImportError:  # a system without such locks
        return None, ()
    except OSError as error:
        return None, (f"another bench may have measured here meanwhile: {explain_lock(error)}",)
    if lock is not None:
        return lock, ()
    note = f"{held['holder']} was measuring on this machine at the same time; times may be too long"
    return None, (note,)
