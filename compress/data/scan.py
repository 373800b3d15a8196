"""Every file of a folder is decoded once in full, so that training never meets a broken one.

What was found is kept in the user's cache by path, size and time of change: the next stage, and
the next run, decode nothing again.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import PIL

from compress.artifacts import write_bytes
from compress.data.cache import cache_folder
from compress.data.image import decode, is_grey, strict_pillow
from compress.errors import ArtifactError
from compress.progress import Progress

_SCHEMA = 1
_AT_ONCE = 256  # files handed to the threads together: Ctrl-C waits for no more than these


@dataclass(frozen=True)
class Scanned:
    """What is known of a readable image.

    Attributes:
        sha256: of the file's bytes.
        height: of the upright image in pixels.
        width: of the upright image in pixels.
        grey: whether it shows no colour.
    """

    sha256: str
    height: int
    width: int
    grey: bool


@dataclass(frozen=True)
class Scan:
    """What a folder's files turned out to be.

    Attributes:
        readable: by name.
        unreadable: the reason by name.
    """

    readable: dict[str, Scanned]
    unreadable: dict[str, str]


def scan_files(root: Path, names: Sequence[str], progress: Progress) -> Scan:
    """Examine the files `names` (relative to `root`), or recall what is known of them."""
    keys = {name: _key(root / name) for name in names}
    known = _recall(root)
    readable = {
        name: known[name][1] for name in names if name in known and known[name][0] == keys[name]
    }
    fresh = [name for name in names if name not in readable]
    unreadable: dict[str, str] = {}
    if fresh:
        for name, found in _examine_all(root, fresh, progress):
            if isinstance(found, Scanned):
                readable[name] = found
            else:
                unreadable[name] = found
        _remember(root, {name: (keys[name], readable[name]) for name in names if name in readable})
    return Scan({name: readable[name] for name in names if name in readable}, unreadable)


def workers() -> int:
    """Threads that decode: as many as the process has cores, at most 4, since each holds a file."""
    return min(4, len(os.sched_getaffinity(0)))


def _examine_all(
    root: Path, names: Sequence[str], progress: Progress
) -> list[tuple[str, Scanned | str]]:
    found: list[tuple[str, Scanned | str]] = []
    with (
        strict_pillow(),
        ThreadPoolExecutor(workers()) as pool,
        progress.task("reading images", total=len(names)) as advance,
    ):
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            for name, result in zip(
                part, pool.map(_examine, [root / n for n in part]), strict=True
            ):
                found.append((name, result))
                advance(1)
    return found


def _examine(path: Path) -> Scanned | str:
    """What is known of one image, or why it cannot be read."""
    try:
        image = decode(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        return str(error)
    return Scanned(digest, image.height, image.width, is_grey(image))


def _key(path: Path) -> tuple[int, int]:
    """Size and time of change; a file that is not there matches nothing that is remembered."""
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _cache_file(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return cache_folder() / "scans" / f"{name}.json"


def _header() -> list[object]:
    return [_SCHEMA, PIL.__version__]  # another Pillow may read, or refuse, other files


def _recall(root: Path) -> dict[str, tuple[tuple[int, int], Scanned]]:
    """What the cache holds; nothing where it is missing, damaged or of another version."""
    try:
        content = json.loads(_cache_file(root).read_bytes())
        if content["header"] != _header():
            return {}
        return {
            name: (
                (int(size), int(changed)),
                Scanned(str(sha), int(height), int(width), bool(grey)),
            )
            for name, (size, changed, sha, height, width, grey) in content["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(root: Path, entries: dict[str, tuple[tuple[int, int], Scanned]]) -> None:
    """Write the cache; a folder or a disk that does not allow it costs time only."""
    files = {name: [*key, *astuple(scanned)] for name, (key, scanned) in entries.items()}
    content = json.dumps({"header": _header(), "files": files}, separators=(",", ":"))
    with suppress(OSError, ArtifactError):
        write_bytes(_cache_file(root), content.encode())
