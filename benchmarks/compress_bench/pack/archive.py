"""The packed file: a zip that Python runs, with what a board needs and nothing else."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import compress
import compress_bench
from compress.artifacts import atomic_path, sha256_file
from compress.errors import ArtifactError
from compress_bench.pack.board.extract import CONTENT, FILES

_SHEBANG = b"#!/usr/bin/env python3\n"
_START = "pack/board/start.py"
# All of Python 3.8 syntax; `compress_bench` finds them on a board under the same names.
_CORE = ("__init__.py", "errors.py")
_BENCH = (
    "__init__.py",
    "examiner.py",
    "machine.py",
    "graph/__init__.py",
    "graph/kinds.py",
    "jobs/__init__.py",
    "jobs/listening.py",
    "pack/__init__.py",
    "portability/__init__.py",
    "portability/coverage.py",
    "portability/parity.py",
    "remote/__init__.py",
    "remote/lock.py",
)
_STORED = (".npz",)  # compressed already
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes from the same content


def check_out(path: Path) -> None:
    """Refuse to replace what is no packed file.

    Raises:
        ArtifactError: a folder or another file stands there.
    """
    if not path.exists():
        return
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            if CONTENT in file.namelist():
                return
    raise ArtifactError(
        f"{path}: expected nothing or a file of compress pack, found something else; "
        "choose another --out"
    )


def write_archive(path: Path, content: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Write the packed file whole or not at all.

    Args:
        path: where it goes.
        content: what is packed, and what is to be done with it.
        files: what jobs name, by plain name.

    Raises:
        ArtifactError: the disk is full or the folder cannot be written.
    """
    digests = {name: sha256_file(file) for name, file in files.items()}
    said = json.dumps({**content, "files": digests}, allow_nan=False, separators=(",", ":"))
    with atomic_path(path) as temporary, temporary.open("wb") as target:
        target.write(_SHEBANG)
        with zipfile.ZipFile(target, "w") as archive:
            for name, source in _sources():
                _add(archive, name, source.read_bytes())
            _add(archive, CONTENT, said.encode())
            for name, file in files.items():
                _add(archive, FILES + name, file.read_bytes())
    path.chmod(0o755)


def _sources() -> Iterator[tuple[str, Path]]:
    """Member names and source files of the program."""
    core, bench = (Path(package.__path__[0]) for package in (compress, compress_bench))
    yield "__main__.py", bench / _START
    yield from ((f"compress/{name}", core / name) for name in _CORE)
    yield from ((f"compress_bench/{name}", bench / name) for name in _BENCH)
    for file in sorted((bench / "pack/board").glob("*.py")):
        yield f"compress_bench/pack/board/{file.name}", file


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, _LONG_AGO)
    stored = name.endswith(_STORED)
    member.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    archive.writestr(member, data)
