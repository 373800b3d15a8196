"""What the stages leave for each other on disk, written whole or not at all.

A stage folder holds `recipe.yaml` (what was asked) from its first second and `manifest.json`,
`bundle.json` or `report.json` (what came of it) from its last. The second file means: finished.
Every file is written to a temporary name in the same folder, synced, and renamed.
"""

import errno
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.errors import ArtifactError

SCHEMA = 1
MANIFEST = "manifest.json"  # a checkpoint's
BUNDLE = "bundle.json"
REPORT = "report.json"

_PACKAGES = ("edge-compress", "numpy", "onnxruntime", "torch", "torchvision", "onnx", "timm")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an error.

    Raises:
        ArtifactError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays: some writers choose their format by it.
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would hide a bundle from the board's user
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Write a file into a folder, made for it where it is missing, and take both away again.

    Raises:
        ArtifactError: that cannot be done.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".writing-", dir=folder) as file:
            file.write(b"?")
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for path in made:
            with suppress(OSError):  # never made, or somebody uses it already
                path.rmdir()


def _unwritable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"{path}: cannot be written ({error.strerror or error}); {_advice(error)}, "
        "then give the command again"
    )


def _advice(error: OSError) -> str:
    """What the user can do about a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose a place where you may write"
    return "choose another place"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 file whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; NaN and infinity are refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_with(path: Path, writer: Callable[[Path], Any]) -> None:
    """Let a library's writer fill a temporary path that then becomes `path`."""
    with atomic_path(path) as temporary:
        writer(temporary)


def read_json(path: Path, *, kind: str) -> dict[str, Any]:
    """Read one of our JSON files and check its schema and kind.

    Raises:
        ArtifactError: missing, not JSON, another kind, or a newer schema than this version knows.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; expected a {kind} there") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error}); make it again") from error
    found = content.get("kind") if isinstance(content, dict) else None
    if found != kind:
        raise ArtifactError(f"{path}: expected a {kind}, found {found or 'something else'}")
    if content.get("schema") != SCHEMA:
        raise ArtifactError(
            f"{path}: expected schema {SCHEMA}, found {content.get('schema')}; "
            "make it again with this version of compress"
        )
    return dict(content)


def sha256_file(path: Path) -> str:
    """The hex digest of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_sha256(path: Path, expected: str, *, record: str, remedy: str) -> None:
    """Compare a file with the digest that `record` (a file's name) holds for it.

    Raises:
        ArtifactError: the file is missing or differs.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: named in {record} but missing; {remedy}")
    found = sha256_file(path)
    if found != expected:
        raise ArtifactError(
            f"{path}: sha256 differs from {record} (expected {expected[:12]}…, "
            f"found {found[:12]}…); {remedy}"
        )


def header(kind: str) -> dict[str, Any]:
    """The first fields of each JSON artefact: schema, kind, time, versions."""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **installed_versions()},
    }


def installed_versions() -> dict[str, str]:
    """Versions of the packages that decide results, without importing them."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
