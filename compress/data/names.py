"""Very many file names in little memory: one block of bytes in place of an object a name."""

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class Names:
    """N names in a fixed order; a name costs its letters and 8 bytes.

    Attributes:
        content: all names, as the file system spells them, one after another.
        bounds: int64 [N + 1], where each name starts and the last one ends.
    """

    def __init__(self, content: bytes, bounds: NDArray[np.int64]) -> None:
        """Keep both; neither is copied."""
        self.content = content
        self.bounds = bounds

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        """Pack names, taking one at a time."""
        content = bytearray()
        ends = np.fromiter(_ends(names, content), dtype=np.int64)
        return cls(bytes(content), np.concatenate([np.zeros(1, dtype=np.int64), ends]))

    @classmethod
    def joined(cls, parts: Sequence["Names"]) -> "Names":
        """The names of all parts, one part after another."""
        lengths = [np.diff(part.bounds) for part in parts]
        content = b"".join(part.content[part.bounds[0] : part.bounds[-1]] for part in parts)
        return cls(content, np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths])))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, index: int | np.integer) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"name {index} of {len(self)}")
        return os.fsdecode(self.content[self.bounds[index] : self.bounds[index + 1]])

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def between(self, start: int, stop: int) -> "Names":
        """The names from `start` to before `stop`; the letters are shared."""
        return Names(self.content, self.bounds[start : stop + 1])

    def chosen(self, indices: NDArray[np.int64]) -> "Names":
        """The names `indices`, int64 [M], in that order."""
        return Names.of(self[i] for i in indices)


def _ends(names: Iterable[str], content: bytearray) -> Iterator[int]:
    """Add each name to `content` and say where it ends."""
    for name in names:
        content += os.fsencode(name)
        yield len(content)
