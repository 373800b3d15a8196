"""Every file of a folder is decoded once in full, so that training never meets a broken one.

What was found is kept in the user's cache by path, size and time of change: the next stage, and
the next run, decode nothing again. Arrays hold it, some 80 bytes a file, here as in the cache.
"""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from compress.artifacts import atomic_path
from compress.data.cache import cache_folder
from compress.data.facts import Facts
from compress.data.files import decoding_threads
from compress.data.fingerprint import DIGEST_BYTES, Digests
from compress.data.image import decode, is_grey, strict_pillow
from compress.data.names import Names
from compress.data.npz import DAMAGE
from compress.errors import ArtifactError
from compress.progress import Progress

_SCHEMA = 2
_AT_ONCE = 256  # files handed to the threads together: Ctrl-C waits for no more than these
_NAME_BYTES = 16  # of a name's digest: enough that no two names of a folder share one
_ENTRY = np.dtype(
    [
        ("name", f"S{_NAME_BYTES}"),
        ("size", np.int64),  # in bytes; -1 of a file that is not there
        ("changed", np.int64),  # in nanoseconds since 1970
        ("sha256", np.uint8, DIGEST_BYTES),
        ("shape", np.int32, 2),
        ("grey", np.bool_),
    ]
)
Entries = NDArray[Any]  # of _ENTRY, one a file


@dataclass(frozen=True)
class Scan:
    """What N files turned out to be.

    Attributes:
        readable: int64 [M], positions of the files that are images, ascending.
        facts: of those M images; the digests are of the files' bytes.
        unreadable: by position, why a file cannot be read.
    """

    readable: NDArray[np.int64]
    facts: Facts
    unreadable: dict[int, str]


@dataclass(frozen=True)
class _Look:
    """What one look at a readable file found."""

    sha256: bytes
    shape: tuple[int, int]
    grey: bool


def scan_files(root: Path, names: Names, progress: Progress) -> Scan:
    """Examine the files `names` (relative to `root`), or recall what is known of them."""
    entries = _entries(root, names)
    fresh = np.flatnonzero(~_recall(root, entries))
    unreadable = _examine_all(root, names, fresh, entries, progress)
    good = np.ones(len(names), dtype=bool)
    good[list(unreadable)] = False
    readable = np.flatnonzero(good)
    if len(fresh):
        _remember(root, entries if good.all() else entries[readable])
    facts = Facts(Digests("file", entries["sha256"]), entries["shape"], entries["grey"])
    return Scan(readable, facts.at(readable), unreadable)


def _entries(root: Path, names: Names) -> Entries:
    """What can be told without opening a file: its name, size and time of change."""
    entries = np.zeros(len(names), dtype=_ENTRY)
    keys, sizes, changed = entries["name"], entries["size"], entries["changed"]
    for i, name in enumerate(names):
        keys[i] = hashlib.blake2b(os.fsencode(name), digest_size=_NAME_BYTES).digest()
        try:
            status = os.stat(f"{root}/{name}")  # noqa: PTH116 - a Path costs more than the look
            sizes[i], changed[i] = status.st_size, status.st_mtime_ns
        except OSError:
            sizes[i] = -1  # matches nothing that is remembered
    return entries


def _examine_all(
    root: Path, names: Names, chosen: NDArray[np.int64], entries: Entries, progress: Progress
) -> dict[int, str]:
    """Fill the entries `chosen` by opening their files; returns why some could not be read."""
    unreadable: dict[int, str] = {}
    if not len(chosen):
        return unreadable
    with (
        strict_pillow(),
        ThreadPoolExecutor(decoding_threads()) as pool,
        progress.task("reading images", total=len(chosen)) as advance,
    ):
        for start in range(0, len(chosen), _AT_ONCE):
            part: Sequence[int] = chosen[start : start + _AT_ONCE].tolist()
            for i, found in zip(
                part, pool.map(_examine, [root / names[i] for i in part]), strict=True
            ):
                if isinstance(found, _Look):
                    entries["sha256"][i] = np.frombuffer(found.sha256, dtype=np.uint8)
                    entries["shape"][i] = found.shape
                    entries["grey"][i] = found.grey
                else:
                    unreadable[i] = found
                advance(1)
    return unreadable


def _examine(path: Path) -> _Look | str:
    """What is known of one image, or why it cannot be read."""
    try:
        image = decode(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError) as error:
        return str(error)
    return _Look(digest, (image.height, image.width), is_grey(image))


def _cache_file(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return cache_folder() / "scans" / f"{name}.npz"


def _header() -> NDArray[np.str_]:
    return np.array([str(_SCHEMA), PIL.__version__])  # another Pillow may refuse other files


def _recall(root: Path, entries: Entries) -> NDArray[np.bool_]:
    """Fill the entries that the cache knows and tell which they are, bool [N].

    None where the cache is missing, damaged or of another version. One array is read at a time.
    """
    try:
        with _cache_file(root).open("rb") as file, np.load(file, allow_pickle=False) as cache:
            if not np.array_equal(cache["header"], _header()):
                return np.zeros(len(entries), dtype=bool)
            positions, known = _match(cache, entries)
            for field in ("sha256", "shape", "grey"):
                entries[field][known] = _array(cache, field)[positions[known]]
            return known
    except (*DAMAGE, TypeError, IndexError):
        return np.zeros(len(entries), dtype=bool)


def _match(cache: Any, entries: Entries) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the cache may hold each entry, int64 [N], and whether it does, bool [N]."""
    names = _array(cache, "name")
    if not len(names):
        return np.zeros(len(entries), dtype=np.int64), np.zeros(len(entries), dtype=bool)
    positions = np.searchsorted(names, entries["name"]).clip(max=len(names) - 1)
    known = names[positions] == entries["name"]
    for field in ("size", "changed"):
        known &= _array(cache, field)[positions] == entries[field]
    return positions, known


def _array(cache: Any, field: str) -> NDArray[Any]:
    """One array of the cache.

    Raises:
        ValueError: of another type than this version writes.
    """
    array: NDArray[Any] = cache[field]
    if (array.dtype, array.shape[1:]) != (_ENTRY[field].base, _ENTRY[field].shape):
        raise ValueError(f"{field} of another type")
    return array


def _remember(root: Path, entries: Entries) -> None:
    """Write the cache; a folder or a disk that does not allow it costs time only."""
    by_name = np.argsort(entries["name"])
    with (
        suppress(OSError, ArtifactError),
        atomic_path(_cache_file(root)) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        _write(archive, "header", _header())
        for field in _ENTRY.names or ():  # numpy.savez would want all of them at once
            _write(archive, field, entries[field][by_name])


def _write(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
