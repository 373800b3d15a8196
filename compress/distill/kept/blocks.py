"""One view's records on disk, written block by block in any order, by any number of processes.

A block is there when its table entry says so: its bytes are written first, and the entry holds
their crc32, so that neither a kill nor a power loss leaves a block that passes for whole.
"""

import errno
import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.distill.kept.form import Records
from compress.errors import ArtifactError

_ENTRY = np.dtype([("crc32", "<u4"), ("done", "<u4")])


@dataclass(frozen=True, kw_only=True)
class ViewFile:
    """The kept logits of one view.

    Attributes:
        folder: of the kept logits.
        number: of the view.
        record: the fields of an image.
        count: images.
        block: images a block; the last one may have fewer.
    """

    folder: Path
    number: int
    record: np.dtype[np.void]
    count: int
    block: int

    @property
    def path(self) -> Path:
        """The records."""
        return self.folder / f"view-{self.number:05d}.logits"

    @property
    def table(self) -> Path:
        """An entry a block."""
        return self.path.with_suffix(".blocks")

    @property
    def blocks(self) -> int:
        """How many blocks the images make."""
        return -(-self.count // self.block)

    def indices(self, block: int) -> NDArray[np.int64]:
        """The images of a block, int64 [B], consecutive."""
        start = block * self.block
        return np.arange(start, min(start + self.block, self.count))

    def done(self) -> NDArray[np.bool_]:
        """Which blocks are there, bool [blocks]; their content is not looked at."""
        found: NDArray[np.bool_] = self._entries()["done"] == 1
        return found

    def damaged(self) -> list[int]:
        """The blocks that are said to be there but whose bytes are others."""
        entries = self._entries()
        claimed = np.flatnonzero(entries["done"] == 1).tolist()
        if not claimed:
            return []
        if not self._whole():
            return claimed
        records = self.open()
        return [
            block
            for block in claimed
            if zlib.crc32(records[self._rows(block)].tobytes()) != entries["crc32"][block]
        ]

    def open(self) -> Records:
        """All records, [count], mapped from the file: read from disk as they are used.

        Raises:
            ArtifactError: the file is missing or of another length.
        """
        if not self._whole():
            found = self.path.stat().st_size if self.path.exists() else 0
            raise ArtifactError(
                f"{self.path}: expected {self.size_bytes()} bytes, found {found}; "
                "make the kept logits again with compress logits"
            )
        return np.memmap(self.path, dtype=self.record, mode="r", shape=(self.count,))

    def write(self, block: int, records: Records) -> None:
        """Write a block, unless another process has done so.

        Raises:
            ArtifactError: the disk is full, or the folder cannot be written; what is there stays.
        """
        content = records.tobytes()
        entry = np.array((zlib.crc32(content), 1), dtype=_ENTRY).tobytes()
        with self._writable() as (data, table):
            if self.done()[block]:
                return
            os.ftruncate(data, self.size_bytes())
            # Not through a mapping: there a full disk would be a signal, not an error.
            _write_all(data, content, block * self.block * self.record.itemsize)
            _write_all(table, entry, block * _ENTRY.itemsize)

    def forget_damaged(self) -> int:
        """Have damaged blocks made again: take back that they are there; returns how many."""
        if not self.damaged():
            return 0  # nothing is written: the folder may be readable only
        with self._writable() as (_, table):
            damaged = self.damaged()  # again: another process may have made some of them anew
            for block in damaged:
                _write_all(table, bytes(_ENTRY.itemsize), block * _ENTRY.itemsize)
        return len(damaged)

    def sync(self) -> None:
        """Have the disk hold what was written: a power loss then costs nothing of it."""
        if self.path.exists():
            with self._writable() as (data, table):
                os.fsync(data)
                os.fsync(table)

    def size_bytes(self) -> int:
        """Bytes of the records when all are there."""
        return self.count * self.record.itemsize

    def _rows(self, block: int) -> slice:
        return slice(block * self.block, (block + 1) * self.block)

    def _whole(self) -> bool:
        return self.path.exists() and self.path.stat().st_size == self.size_bytes()

    def _entries(self) -> NDArray[np.void]:
        content = self.table.read_bytes() if self.table.exists() else b""
        length = self.blocks * _ENTRY.itemsize
        return np.frombuffer(content[:length].ljust(length, b"\0"), dtype=_ENTRY)

    @contextmanager
    def _writable(self) -> Iterator[tuple[int, int]]:
        """The file descriptors of both files, for one process at a time."""
        opened: list[int] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.path, self.table):
                opened.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))  # noqa: PERF401
            with locked(opened[1]):
                yield opened[0], opened[1]
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise ArtifactError(
                f"{self.path}: cannot be written ({error.strerror or error}); "
                f"{'free some space' if full else 'make the folder writable'}, then give the "
                "command again: the blocks that are there are kept"
            ) from error
        finally:
            for descriptor in opened:
                os.close(descriptor)


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Keep other processes of ours out, where the file system can; released when it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF, errno.ENOSYS):
            raise
        yield  # a network file system without locks: two writers of a block write the same bytes
        return
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of `content`; a disk that fills up in the middle is an error, as it should be."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
