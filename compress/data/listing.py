"""Which file of a folder is an image of which class and split, by names alone.

`train/ [val/] test/`, each with a folder a class, or folders of classes directly. Folders inside a
class folder belong to the class. What is hidden or has no image's suffix is stray.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import SPLITS
from compress.data.names import Names
from compress.data.wording import counted, some
from compress.errors import DataError

SUFFIXES = frozenset(
    f".{kind}"
    for kinds in (
        ("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "gif", "tif", "tiff", "webp", "avif"),
        ("jp2", "j2k", "ppm", "pgm", "pbm", "pnm", "tga"),
    )
    for kind in kinds
)
_ROLES = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Listing:
    """The images that a folder claims to hold.

    Attributes:
        classes: names of the class folders, sorted.
        names: of all images relative to the folder: split after split in the order of `counts`,
            class after class, sorted in each class.
        counts: per split that has a folder (train alone where there are none), the number of images
            of each class, int64 [classes].
        strays: names of files and folders that are passed over, sorted.
    """

    classes: tuple[str, ...]
    names: Names
    counts: dict[str, NDArray[np.int64]]
    strays: tuple[str, ...]


@dataclass
class _Found:
    """What a walk collects."""

    images: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)


def list_folder(root: Path) -> Listing:
    """List an image folder.

    Raises:
        DataError: no class folders, one without images, splits whose classes differ, or a folder
            that cannot be listed.
    """
    with _listable(root):
        return _list(root)


def list_images(root: Path) -> tuple[Names, tuple[str, ...]]:
    """All images below a folder, whatever its folders are called, and what is passed over.

    Raises:
        DataError: no image, or a folder that cannot be listed.
    """
    found = _Found()
    with _listable(root):
        _walk(root, "", (), found)
    if not found.images:
        others = f" but {counted(len(found.strays), 'other file')}" if found.strays else ""
        raise DataError(f"{root}: expected images in or below it, found none{others}; add some")
    return Names.of(sorted(found.images)), tuple(sorted(found.strays))


@contextmanager
def _listable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: expected a folder that can be listed, found "
            f"{error.strerror or error}; change its permissions"
        ) from error


def _list(root: Path) -> Listing:
    roles = _split_folders(root)
    files: dict[str, dict[str, Names]] = {}
    strays: list[str] = _loose(root, "")
    for split in SPLITS:
        if split in roles:
            prefix = f"{roles[split]}/" if roles[split] else ""
            files[split] = _list_classes(root, prefix, strays)
    _same_classes(root, roles, files)
    return Listing(
        classes=tuple(files["train"]),
        names=Names.joined([names for split in files.values() for names in split.values()]),
        counts={s: np.array([len(names) for names in files[s].values()]) for s in files},
        strays=tuple(sorted(strays)),
    )


def _split_folders(root: Path) -> dict[str, str]:
    """The folder's name of each split that has one; {"train": ""} where classes come first."""
    folders = _folders(root)
    named = [name for name in folders if name.lower() in _ROLES]
    if not any(_folders(root / name) for name in named):
        if named and len(named) == len(folders):
            raise DataError(
                f"{root}/{named[0]}: expected a folder for each class in it, found none; "
                "sort the images into folders named after their classes"
            )
        return {"train": ""}  # a class may well be called train
    others = [name for name in folders if name not in named]
    if others:
        raise DataError(
            f"{root}: expected either splits (train, val, test) or classes, found {some(named)} "
            f"beside {some(others)}; move one kind away"
        )
    roles: dict[str, str] = {}
    for name in named:
        role = _ROLES[name.lower()]
        if role in roles:
            raise DataError(
                f"{root}: expected one folder for {role}, found {roles[role]} and {name}; join them"
            )
        roles[role] = name
    if "train" not in roles:
        raise DataError(
            f"{root}: expected a folder train beside {some(named)}, found none; "
            "add it, or give a folder of classes and let it be split"
        )
    return roles


def _list_classes(root: Path, prefix: str, strays: list[str]) -> dict[str, Names]:
    """The images of each class folder in `prefix`, sorted; `strays` takes what is passed over."""
    folder = root / prefix
    above = (_identity(root), _identity(folder))
    if prefix:
        strays.extend(_loose(folder, prefix))
    classes = {}
    for name in _folders(folder):
        found = _Found()
        _walk(folder / name, f"{prefix}{name}/", above, found)
        strays.extend(found.strays)
        _check_class(folder / name, name, found)
        classes[name] = Names.of(sorted(found.images))
    if not classes:
        images = [n for n in _loose(folder, prefix) if _is_image_name(n)]
        raise DataError(
            f"{folder}: expected a folder for each class, found none"
            + (f" but {counted(len(images), 'image')} without a class" if images else "")
            + "; sort the images into folders named after their classes"
        )
    return classes


def _check_class(folder: Path, name: str, found: _Found) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{some([str(folder)])}: expected a class name in UTF-8, found other bytes; "
            "rename the folder"
        ) from None
    if not found.images:
        others = f" but {counted(len(found.strays), 'other file')}" if found.strays else ""
        raise DataError(
            f"{folder}: expected images of the class {name}, found none{others}; "
            "add some or remove the folder"
        )


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...], found: _Found) -> None:
    """Collect images below `folder`; a link that leads back to a folder above is passed over."""
    here = _identity(folder)
    if here in above:
        found.strays.append(prefix)
        return
    inner = []
    with os.scandir(folder) as entries:  # never as a list: an entry is ten times its name
        for entry in entries:
            if entry.is_dir() and not _hidden(entry.name):
                inner.append(entry.name)
            elif _is_image(entry):
                found.images.append(prefix + entry.name)
            else:
                found.strays.append(prefix + entry.name)
    for name in inner:
        _walk(folder / name, f"{prefix}{name}/", (*above, here), found)


def _identity(folder: Path) -> tuple[int, int]:
    """What is the same for all paths to one folder."""
    status = folder.stat()
    return (status.st_dev, status.st_ino)


def _folders(folder: Path) -> list[str]:
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not _hidden(e.name))


def _loose(folder: Path, prefix: str) -> list[str]:
    """What lies beside the folders, and hidden folders."""
    return sorted(prefix + e.name for e in os.scandir(folder) if not e.is_dir() or _hidden(e.name))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(entry: os.DirEntry[str]) -> bool:
    """An image by its name; a link to nothing counts, and turns out to be unreadable."""
    return _is_image_name(entry.name) and (entry.is_file() or entry.is_symlink())


def _is_image_name(name: str) -> bool:
    name = name.rpartition("/")[2]
    _, dot, kind = name.rpartition(".")  # not pathlib, which keeps something of each name it saw
    return not _hidden(name) and f"{dot}{kind}".lower() in SUFFIXES


def _same_classes(
    root: Path, roles: Mapping[str, str], files: Mapping[str, Mapping[str, object]]
) -> None:
    """Refuse splits that do not have the same class folders."""
    train = set(files["train"])
    for split in files:
        missing, extra = sorted(train - set(files[split])), sorted(set(files[split]) - train)
        if missing or extra:
            only = [f"only in {roles['train']}: {some(missing)}"] if missing else []
            only += [f"only in {roles[split]}: {some(extra)}"] if extra else []
            raise DataError(
                f"{root}: expected the same class folders in {roles['train']} and "
                f"{roles[split]}, found others ({'; '.join(only)}); add or rename them"
            )
