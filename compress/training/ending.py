"""How several processes end when one of them fails: the cause is said once, by one it befell.

torchrun keeps a store that outlives each process. One that fails leaves a note there before its
connections break, so that the others know why they lost it, or why torchrun stops them.
"""

import time

from torch import distributed
from torch.distributed.distributed_c10d import Store

from compress.errors import CompressError, StoppedError, TrainingError
from compress.launched import SaidElsewhereError

# What one process meets, the first meets too within this time, or not at all.
_WAIT_SECONDS, _POLL_SECONDS = 1.0, 0.02


class Notes:
    """What the processes leave for each other when they fail: the exit code and the sentence."""

    def __init__(self, store: Store, rank: int, count: int) -> None:
        """Keep where the notes are, who this is, and how many there are."""
        self._store, self._rank = store, rank
        self._others = [other for other in range(count) if other != rank]

    def leave(self, error: BaseException) -> None:
        """Say why this process ends."""
        if isinstance(error, KeyboardInterrupt):
            error = StoppedError("interrupted")
        code = error.exit_code if isinstance(error, CompressError) else 1
        self._store.set(_key(self._rank), f"{code} {error}")

    def of_another(self) -> tuple[int, str] | None:
        """Why another process has ended; None where none has said so."""
        left = [other for other in self._others if self._store.check([_key(other)])]
        return self._read(left[0]) if left else None

    def of_the_first(self) -> tuple[int, str] | None:
        """Why the first process ends, if it does so very soon."""
        deadline = time.perf_counter() + _WAIT_SECONDS
        while not self._store.check([_key(0)]):
            if time.perf_counter() > deadline:
                return None
            time.sleep(_POLL_SECONDS)
        return self._read(0)

    def _read(self, rank: int) -> tuple[int, str]:
        code, _, sentence = self._store.get(_key(rank)).decode().partition(" ")
        return int(code), sentence


def _key(rank: int) -> str:
    return f"error of {rank}"


def ending(error: BaseException, notes: Notes, *, first: bool) -> BaseException:
    """What a process ends with, once `error` has befallen it: that, or what explains it."""
    try:
        return _explained(error, notes, first)
    except distributed.DistError:  # torchrun has ended as well, and its store with it
        return error


def _explained(error: BaseException, notes: Notes, first: bool) -> BaseException:
    if isinstance(error, KeyboardInterrupt) or is_loss(error):
        cause = notes.of_another()
        if cause is not None and cause[0] != StoppedError.exit_code:
            return SaidElsewhereError(cause[1])
        if cause is not None:
            error = KeyboardInterrupt()
        if not isinstance(error, KeyboardInterrupt):
            error = TrainingError(
                "expected all processes to stay until the end, found one gone without a word "
                "(killed, or cut off by the network); what was saved is kept: give the same "
                "command again, without --force"
            )
    notes.leave(error)
    if not first and not isinstance(error, KeyboardInterrupt):
        word = notes.of_the_first()
        if word is not None:
            return SaidElsewhereError(word[1])
    return error


def is_loss(error: BaseException) -> bool:
    """Whether an error only says that another process cannot be reached any more."""
    # gloo's errors have no type of their own; they begin with the file that they come from.
    gloo = isinstance(error, RuntimeError) and "gloo/" in str(error)
    return gloo or isinstance(error, distributed.DistError)
