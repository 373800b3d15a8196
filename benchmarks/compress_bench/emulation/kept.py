"""Folders that take long to make, kept in the user's cache: whole or not at all.

What nothing has used for a month goes when something is made.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compress.data.cache import cache_folder
from compress.errors import BenchError

_RECORD = "complete.json"  # changed whenever the folder is used
_UNUSED_SECONDS = 30 * 24 * 3600.0


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made now if it is missing or damaged.

    It is made beside its place and renamed; a second maker waits for the first.

    Args:
        name: says all that it depends on.
        make: fills the empty folder that it gets.

    Raises:
        BenchError: it cannot be written.
    """
    place = cache_folder() / "emulation" / name
    if is_whole(place):
        with suppress(OSError):  # another user's, or read-only
            (place / _RECORD).touch()
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place.with_name("lock")):
            if not is_whole(place):
                _remove_unused(place.parent)
                _make(place, make)
    except OSError as error:
        raise BenchError(
            f"{place}: expected to keep there what emulation needs, and it failed ({error}); "
            "make room, or set XDG_CACHE_HOME to another folder"
        ) from error
    return place


def is_whole(place: Path) -> bool:
    """Whether every file is there, as long as it was: cleaners of caches take single ones."""
    try:
        written = json.loads((place / _RECORD).read_text())
    except (OSError, ValueError):
        return False
    return bool(written == _sizes(place))


def _remove_unused(folder: Path) -> None:
    """Versions that were tried once take 100 MB each."""
    oldest = time.time() - _UNUSED_SECONDS
    for record in folder.glob(f"*/{_RECORD}"):
        if record.stat().st_mtime < oldest:
            shutil.rmtree(record.parent, ignore_errors=True)


def _make(place: Path, make: Callable[[Path], None]) -> None:
    partial = place.with_name(f"{place.name}.partial")  # of a maker that was killed
    for left in (place, partial):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        make(partial)
        (partial / _RECORD).write_text(json.dumps(_sizes(partial)))
        partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sizes(place: Path) -> dict[str, int]:
    """Bytes of every file but of what Python compiles by itself."""
    found = {}
    for folder, names, files in os.walk(place):
        if "__pycache__" in names:
            names.remove("__pycache__")
        for name in files:
            if name != _RECORD:
                path = Path(folder) / name
                found[str(path.relative_to(place))] = path.lstat().st_size
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
