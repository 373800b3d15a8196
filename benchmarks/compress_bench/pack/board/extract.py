"""What the packed file says, and its files, each held against its digest."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict

from compress.errors import ArtifactError, BenchError

CONTENT = "pack.json"  # what was packed, and what is to be done with it
FILES = "files/"  # the members that jobs name

_BLOCK = 1 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError)


def read_content(archive: str) -> Dict[str, Any]:
    """What the packed file says of itself.

    Raises:
        ArtifactError: it is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            content: Dict[str, Any] = json.loads(file.read(CONTENT).decode("utf-8"))
    except (OSError, *_DAMAGE) as error:
        raise _damaged(archive, error) from error
    return content


def extract(archive: str, digests: Dict[str, str], folder: Path) -> None:
    """Write the named members into a folder, flat, and hold each against its digest.

    Args:
        archive: the packed file.
        digests: sha256 by plain name.
        folder: where they go; nothing is written outside of it.

    Raises:
        ArtifactError: the file is damaged.
        BenchError: there is no room.
    """
    for name, expected in digests.items():
        if Path(name).name != name or name in ("", ".", ".."):
            raise ArtifactError("%s: expected plain names of files, found %r" % (archive, name))
        try:
            with zipfile.ZipFile(archive) as file, file.open(FILES + name) as member:
                found = _copy(member, folder / name)
        except _DAMAGE as error:
            raise _damaged(archive, error) from error
        if found != expected:
            raise _damaged(archive, "%s differs from what was packed" % name)


def _copy(member: Any, path: Path) -> str:
    """Write a member's bytes; their sha256."""
    digest = hashlib.sha256()
    try:
        with path.open("wb") as target:
            while True:
                block = member.read(_BLOCK)
                if not block:
                    return digest.hexdigest()
                digest.update(block)
                target.write(block)
    except OSError as error:
        raise BenchError(
            "%s: cannot be written (%s); free some space, or name another folder by TMPDIR"
            % (path.parent, error.strerror or error)
        ) from error


def _damaged(archive: str, why: Any) -> ArtifactError:
    return ArtifactError(
        "%s: it is damaged (%s); copy it again, or pack again" % (Path(archive).name, why)
    )
