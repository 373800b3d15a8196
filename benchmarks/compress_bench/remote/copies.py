"""Files of this machine as they are kept on a board: in groups, named by their content."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from compress.errors import ArtifactError, BenchError
from compress_bench.graph.onnx_wire import external_files

_NEVER_MODELS = (".npz", ".py")
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Copy:
    """One file.

    Attributes:
        path: here.
        name: within its folder there.
        sha256: of its content.
        size_bytes: likewise.
    """

    path: Path
    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Group:
    """A file and those that must lie beside it: a model with its external data.

    Attributes:
        files: the file itself first.
    """

    files: tuple[Copy, ...]

    @property
    def key(self) -> str:
        """Names and contents in one; the folder's name on the board."""
        said = [[copy.name, copy.sha256] for copy in self.files]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(copy.size_bytes for copy in self.files)

    def described(self) -> list[dict[str, str | int]]:
        """As the agent takes it."""
        return [
            {"name": copy.name, "sha256": copy.sha256, "size": copy.size_bytes}
            for copy in self.files
        ]

    def content(self, advance: Callable[[float], None]) -> Iterator[bytes]:
        """The bytes of all files, in turn, each as many as were promised."""
        for copy in self.files:
            left = copy.size_bytes
            with copy.path.open("rb") as file:
                while left:
                    # A file that is cut off meanwhile is filled up, and refused for its digest.
                    part = file.read(min(left, _CHUNK)) or bytes(min(left, _CHUNK))
                    left -= len(part)
                    yield part
                    advance(len(part))


class Copies:
    """Reads each file once, however many jobs name it."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._digests: dict[tuple[Path, int, int], str] = {}

    def group(self, path: Path) -> Group:
        """A file with what belongs to it.

        Raises:
            BenchError: one of them cannot be read, or would lie outside the file's folder.
        """
        beside = [] if path.suffix in _NEVER_MODELS else _external(path)
        return Group(tuple(self._copy(path, name) for name in (path.name, *beside)))

    def _copy(self, path: Path, name: str) -> Copy:
        found = path.parent / name
        try:
            stat = found.stat()
            seen = (found, stat.st_size, stat.st_mtime_ns)
            if seen not in self._digests:
                with found.open("rb") as file:
                    self._digests[seen] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BenchError(
                f"{found}: expected a file to copy to the board, and it cannot be read "
                f"({error.strerror}); check its path and rights"
            ) from error
        return Copy(found, name, self._digests[seen], stat.st_size)


def _external(path: Path) -> list[str]:
    """Names of the files of external data that exist, relative to the model's folder."""
    try:
        found = [file for file in external_files(path) if file.exists()]
    except ArtifactError:  # the runner says what is wrong with it, as it does here
        return []
    for file in found:
        if not file.is_relative_to(path.parent) or ".." in file.parts:
            raise BenchError(
                f"{path}: expected its weights beside it or below, found {file}; a board has no "
                "such folder, so move them and write the model anew"
            )
    return [file.relative_to(path.parent).as_posix() for file in found]
