"""One measurement at a time on a board, whoever starts it: a bench through ssh, this one, another.

Python 3.8 and the standard library alone.
"""

from __future__ import annotations

from typing import Optional

from compress.errors import BenchError
from compress_bench.remote.lock import explain_lock, take_lock, who


def hold_board(program: str) -> Optional[int]:
    """Keep other benches away for as long as this process lives.

    Args:
        program: what is started, for whoever is kept away.

    Returns:
        The lock's descriptor, which nobody closes; None where the system has no such locks.

    Raises:
        BenchError: another bench is measuring here, or there can be no lock.
    """
    try:
        lock, held = take_lock("%s with %s" % (who(), program))
    except ImportError:
        return None
    except OSError as error:
        raise BenchError("%s: %s" % (program, explain_lock(error))) from error
    if lock is None:
        raise BenchError(
            "%s: expected a free board, found that %s has been measuring here for %.0f s; "
            "wait for the end" % (program, held["holder"], held["seconds"])
        )
    return lock
