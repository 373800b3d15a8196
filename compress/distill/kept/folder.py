"""A folder of kept logits: whose answers they are, to which views, and in which form.

All of that is written in logits.json when the folder is begun, and asked for again by whoever
wants to use it: what was kept for other views teaches the wrong thing without any error.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import header, read_json, write_json
from compress.distill.kept.blocks import ViewFile, locked
from compress.distill.kept.form import Form
from compress.errors import ArtifactError
from compress.stage import RECIPE, is_ours

HEADER = "logits.json"
KIND = "logits"
_LEFTOVER = ".writing-*"
_OURS = (HEADER, "view-[0-9]*.logits", "view-[0-9]*.blocks", _LEFTOVER)
_SHOWN = 60  # characters of a value in an error


@dataclass(frozen=True, kw_only=True)
class KeptFolder:
    """Kept logits on disk.

    Attributes:
        path: the folder.
        teacher_name: what messages call the teacher.
        teacher: its identity.
        views: the identity of the views that it saw.
        classes: of the logits.
        form: what is kept of a row.
        block: images that the teacher answers as one batch.
        teacher_record: where the teacher was found: what export needs to find it again.
    """

    path: Path
    teacher_name: str
    teacher: Mapping[str, Any]
    views: Mapping[str, Any]
    classes: tuple[str, ...]
    form: Form
    block: int
    teacher_record: Mapping[str, Any]

    def view(self, number: int) -> ViewFile:
        """The file of a view, there or not."""
        return ViewFile(
            folder=self.path,
            number=number,
            record=self.form.record(),
            count=int(self.views["count"]),
            block=self.block,
        )

    def size_bytes(self, views: int) -> int:
        """Bytes of the records of so many views."""
        return views * self.view(0).size_bytes()

    def missing(self, numbers: Sequence[int]) -> dict[int, int]:
        """How many blocks of each of these views are not there yet; only views that lack some."""
        lacking = {number: int(np.sum(~self.view(number).done())) for number in numbers}
        return {number: count for number, count in lacking.items() if count}

    def require(self, **asked: Any) -> None:
        """Refuse other content than the one asked for.

        Args:
            asked: teacher, views, classes or form, each as it should be.

        Raises:
            ArtifactError: names each field that differs, with both values.
        """
        found = {
            "teacher": self.teacher,
            "views": self.views,
            "classes": self.classes,
            "form": self.form.to_dict(),
        }
        differing = differences({name: found[name] for name in asked}, asked)
        if differing:
            raise ArtifactError(
                f"{self.path}: holds other logits than these ({'; '.join(differing)}); "
                "give the settings that they were made with, or keep the new ones in another folder"
            )


def read_folder(path: Path) -> KeptFolder:
    """What a folder of kept logits holds.

    Raises:
        ArtifactError: it is none, or its logits.json is damaged or of another version.
    """
    content = read_json(path / HEADER, kind=KIND)
    try:
        classes = tuple(str(name) for name in content["classes"])
        return KeptFolder(
            path=path,
            teacher_name=str(content["teacher_name"]),
            teacher=dict(content["teacher"]),
            views=dict(content["views"]),
            classes=classes,
            form=Form.from_dict(content["form"], len(classes)),
            block=int(content["block"]),
            teacher_record=dict(content["teacher_record"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path / HEADER}: expected the fields of kept logits, found {error!r}; "
            "remove the folder and make it again"
        ) from error


def begin_folder(wanted: KeptFolder, *, any_form: bool) -> KeptFolder:
    """Begin the folder, or go on with what is there if it is the same; see `look_at_folder`."""
    with folder_lock(wanted.path):
        found = look_at_folder(wanted, any_form=any_form)
        if found is None:
            # Of a process that was killed: living ones wait for the lock.
            for leftover in wanted.path.glob(_LEFTOVER):
                leftover.unlink(missing_ok=True)
            _write_header(wanted)
    return found or wanted


def look_at_folder(wanted: KeptFolder, *, any_form: bool) -> KeptFolder | None:
    """What is there, if it is what is wanted; nothing is changed.

    Args:
        wanted: the folder as it would be begun.
        any_form: take the form that is there: the user asked for none.

    Returns:
        The folder as it is: with its own size of blocks, and perhaps further temperatures. None
        where it is not begun.

    Raises:
        ArtifactError: it holds other logits, or something else.
    """
    if not (wanted.path / HEADER).exists():
        _refuse_foreign(wanted.path)
        return None
    found = read_folder(wanted.path)
    asked = wanted.form
    if any_form or set(asked.temperatures) <= set(found.form.temperatures):
        asked = replace(asked, temperatures=found.form.temperatures)  # more of them serve as well
    if any_form:
        asked = replace(asked, top_k=found.form.top_k)
    found.require(
        teacher=wanted.teacher, views=wanted.views, classes=wanted.classes, form=asked.to_dict()
    )
    return found


def drop_folder(path: Path) -> None:
    """Empty a folder of kept logits, so that it is made again.

    Raises:
        ArtifactError: it holds other files too, or cannot be removed.
    """
    found = sorted(entry.name for entry in path.iterdir())
    other = [name for name in found if not _is_ours(path, name)]
    if other:
        raise ArtifactError(
            f"{path}: expected kept logits alone, found other files ({other[0]}); remove the "
            "folder, or keep the logits in another one with --logits"
        )
    try:
        # Its header last: a kill on the way leaves logits that lack views.
        for name in sorted(found, key=lambda name: name == HEADER):
            (path / name).unlink()
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be removed ({error.strerror or error}); choose another --out"
        ) from error


def _is_ours(path: Path, name: str) -> bool:
    """Whether keeping logits writes files of this name; a recipe may be the user's."""
    if name == RECIPE:
        return is_ours(path / name)
    return any(fnmatch(name, ours) for ours in _OURS)


def read_summary(path: Path) -> dict[str, Any] | None:
    """What `write_summary` wrote; None for a folder that is not whole, or none yet."""
    if not (path / HEADER).exists():
        return None
    summary: dict[str, Any] | None = read_json(path / HEADER, kind=KIND)["summary"]
    return summary


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Add to a folder whose views are all there what is to be said of them."""
    with folder_lock(path):
        write_json(path / HEADER, read_json(path / HEADER, kind=KIND) | {"summary": dict(summary)})


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Let one process at a time begin a folder; it is made if missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ArtifactError(
            f"{path}: expected a folder that can be written ({error.strerror or error}); "
            "choose another place"
        ) from error
    try:
        with locked(descriptor):
            yield
    finally:
        os.close(descriptor)


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Each field that differs, nested ones by dotted names: "views.seed: 1 there, 2 asked"."""
    there, here = dict(_flat("", as_json(found))), dict(_flat("", as_json(asked)))
    return [
        _difference(name, there.get(name), here.get(name))
        for name in sorted(there | here)
        if there.get(name) != here.get(name)
    ]


def _difference(name: str, there: Any, asked: Any) -> str:
    """Of two long lists the first place that differs, else both values."""
    if isinstance(there, list) and isinstance(asked, list) and len(str(there)) > _SHOWN:
        places = zip(there, asked, strict=False)
        place = next((k for k, (one, other) in enumerate(places) if one != other), None)
        if place is not None:
            name, there, asked = f"{name}.{place}", there[place], asked[place]
    return f"{name}: {_shown(there)} there, {_shown(asked)} asked"


def as_json(value: Any) -> Any:
    """A value as it comes back from JSON: tuples as lists."""
    return json.loads(json.dumps(value))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of nested mappings, and of lists of mappings, under dotted names."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    for key, item in value.items():
        yield from _flat(f"{name}.{key}" if name else key, item)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    if isinstance(value, str) and len(text) > _SHOWN:
        return f"{text[:12]}…"  # a digest
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _write_header(folder: KeptFolder) -> None:
    write_json(
        folder.path / HEADER,
        {
            **header(KIND),
            "teacher_name": folder.teacher_name,
            "teacher": as_json(folder.teacher),
            "teacher_record": as_json(folder.teacher_record),
            "views": as_json(folder.views),
            "classes": list(folder.classes),
            "form": folder.form.to_dict(),
            "block": folder.block,
            "summary": None,
        },
    )


def _refuse_foreign(path: Path) -> None:
    """A folder without logits.json is begun only if it is empty, but for a stage's recipe."""
    found = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    other = sorted(name for name in found if name != RECIPE and not fnmatch(name, _LEFTOVER))
    if other:
        raise ArtifactError(
            f"{path}: expected an empty folder or kept logits, found other files ({other[0]}); "
            "choose another folder"
        )
