"""What holds for every test."""

import os
import signal
from collections.abc import Iterator

import pytest

from compress_bench.remote.lock import VARIABLE


@pytest.fixture(scope="session", autouse=True)
def a_lock_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests neither wait for a bench of this machine nor keep one away."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(tmp_path_factory.mktemp("lock") / "lock")
    yield
    if before is None:
        del os.environ[VARIABLE]
    else:
        os.environ[VARIABLE] = before


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heeded() -> None:
    """As in a terminal: what a shell starts in the background ignores it, with all its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
