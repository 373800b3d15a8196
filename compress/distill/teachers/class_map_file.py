"""`--class-map FILE`: the user's own word on which of the teacher's outputs is which class."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from compress.data.wording import some
from compress.distill.teachers.class_map import ClassMap, Labels, fold
from compress.errors import UsageError
from compress.models.reference import did_you_mean

_FORM = "class of the data -> name or number of the teacher's output, or a list of them"


def read_class_map(path: Path, classes: Sequence[str], labels: Labels) -> ClassMap:
    """Read a JSON or YAML file that maps each class of the data to outputs of the teacher.

    Several outputs for one class are merged by logsumexp: their probabilities at temperature 1 are
    added, and the sum is softened like any other. Outputs that no class names are left out.

    Args:
        path: the file.
        classes: of the data.
        labels: of the teacher.

    Raises:
        UsageError: no such file or form, a class that is missing or unknown, an output that is
            unknown, ambiguous, or given to two classes.
    """
    given = {_class_name(path, key): value for key, value in _read(path).items()}
    for name in given:
        if name not in classes:
            hint = did_you_mean(name, classes)
            raise UsageError(
                f"--class-map {path}: expected classes of the data, found {name}"
                f"{hint or f'; they are {some(list(classes), 8)}'}"
            )
    missing = [name for name in classes if name not in given]
    if missing:
        raise UsageError(
            f"--class-map {path}: expected every class of the data, found none for "
            f"{some(missing)}; add a line for each"
        )
    outputs = tuple(_outputs(path, name, given[name], labels) for name in classes)
    _refuse_shared(path, classes, outputs, labels)
    return ClassMap(outputs, labels.width)


def _read(path: Path) -> Mapping[Any, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"--class-map {path}: expected a JSON or YAML file, found one that cannot be read "
            f"({reason}); write {_FORM}"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(
            f"--class-map {path}: expected {_FORM}, found {type(content).__name__}; "
            "write one line a class"
        )
    return content


def _class_name(path: Path, key: object) -> str:
    """A key as text; YAML reads `no` as false, and 7 as a number."""
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
        return str(key)
    raise UsageError(
        f"--class-map {path}: expected a class name, found {key!r} ({type(key).__name__}); "
        "put it in quotes"
    )


def _outputs(path: Path, name: str, value: object, labels: Labels) -> tuple[int, ...]:
    """What one class is mapped to, as numbers of outputs without repetition."""
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise UsageError(f"--class-map {path}: {name}: expected an output, found an empty list")
    found = [_output(f"--class-map {path}: {name}", entry, labels) for entry in entries]
    return tuple(dict.fromkeys(found))


def _output(subject: str, entry: object, labels: Labels) -> int:
    if isinstance(entry, int) and not isinstance(entry, bool):
        if not 0 <= entry < labels.width:
            raise UsageError(
                f"{subject}: expected an output from 0 to {labels.width - 1}, found {entry}"
            )
        return entry
    if not isinstance(entry, str):
        raise UsageError(
            f"{subject}: expected a name or a number of an output, found {entry!r}; "
            "put names in quotes"
        )
    if not labels.names:
        raise UsageError(
            f"{subject}: expected the number of an output, since this teacher's have no names, "
            f"found {entry}; name them with --teacher-classes FILE"
        )
    for form in (str, fold):
        same = [k for k, known in enumerate(labels.names) if form(known) == form(entry)]
        if len(same) == 1:
            return same[0]
        if same:
            numbers = " and ".join(map(str, same))
            raise UsageError(
                f"{subject}: expected one output, found {entry}, which outputs {numbers} are "
                "called; give the number"
            )
    raise UsageError(
        f"{subject}: expected a class of the teacher, found {entry}"
        f"{did_you_mean(entry, labels.names) or f'; it has {some(labels.names, 8)}'}"
    )


def _refuse_shared(
    path: Path, classes: Sequence[str], outputs: Sequence[tuple[int, ...]], labels: Labels
) -> None:
    """An output cannot speak for two classes: its probability would count twice."""
    owner: dict[int, str] = {}
    for name, group in zip(classes, outputs, strict=True):
        for output in group:
            if output in owner:
                called = f" ({labels.names[output]})" if labels.names else ""
                raise UsageError(
                    f"--class-map {path}: expected each output for one class, found output "
                    f"{output}{called} for {owner[output]} and {name}; a teacher that does not "
                    "tell them apart cannot teach them"
                )
            owner[output] = name
