"""One bench at a time on a machine, whoever starts it and from where: a lock for all its users.

Python 3.8 and the standard library alone: the agent and the packed file take it on a board.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

VARIABLE = "COMPRESS_LOCK"  # names another file
NAME = "compress-bench.lock"
TRIES = 5  # a bench that was just stopped takes a moment to let go
_WORDS = 4096  # bytes at most that a holder says of itself
_LETTERS = 120  # of its name that are shown
_FOUND = {errno.ELOOP: "a link", errno.EISDIR: "a folder", errno.EINVAL: "no regular file"}

Json = Dict[str, Any]


def boottime() -> float:
    """Seconds since the machine was switched on; boards often have no clock of their own."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def who() -> str:
    """Who asks for a lock, for people to read: user@host."""
    try:
        return "%s@%s" % (getpass.getuser(), socket.gethostname())
    except (KeyError, OSError):  # a user without a name
        return socket.gethostname()


def lock_path() -> Path:
    """The same for all users; TMPDIR is often each user's own."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    common = Path("/tmp")  # noqa: S108 - never a link, see `_open`
    return (common if common.is_dir() else Path(tempfile.gettempdir())) / NAME


def take_lock(holder: str) -> Tuple[Optional[int], Json]:
    """The machine's lock, held as long as any copy of it is open; the kernel opens it at death.

    Args:
        holder: who takes it, for whoever comes next.

    Returns:
        The lock's descriptor; or None, and its holder with the `seconds` that it was held.

    Raises:
        OSError: there can be no lock; see `explain_lock`.
        ImportError: the system has no such locks.
    """
    import fcntl

    lock = _open(str(lock_path()))
    try:
        for _ in range(TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
                continue
            os.ftruncate(lock, 0)
            said = json.dumps({"holder": holder, "since": boottime()})
            os.pwrite(lock, said.encode("ascii"), 0)
            return lock, {}
        found = _read_holder(lock)
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None, found


def _open(path: str) -> int:
    """Without following a link; any user may open what the first one has made."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    try:
        lock = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # made by another one just now
        return os.open(path, flags)
    os.fchmod(lock, 0o666)
    return lock


def _read_holder(lock: int) -> Json:
    """Who holds it, as far as the file can be believed: every user of the machine may write it."""
    try:
        said = json.loads(os.pread(lock, _WORDS, 0).decode("ascii"))
        seconds = boottime() - float(said["since"])
        holder = "".join(sign for sign in str(said["holder"])[:_LETTERS] if sign.isprintable())
    except (ValueError, KeyError, TypeError):  # or its holder is just about to write
        return {"holder": "another bench", "seconds": 0.0}
    return {"holder": holder, "seconds": seconds}


def explain_lock(error: OSError) -> str:
    """Why there can be no lock, and what to do."""
    found = _FOUND.get(error.errno or 0, "that this fails (%s)" % (error.strerror or error))
    remedy = "remove it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space"
    form = "expected to lock %s, found %s; %s, or name another file by %s"
    return form % (lock_path(), found, remedy, VARIABLE)
