"""Which outputs of a teacher stand for which class of the data: compared by name first."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.data.wording import some
from compress.errors import ModelError

_SHOWN = 5  # names of each list in an error
_WORDNET = re.compile(r"n\d{8}")  # how ImageNet's own folders are called


@dataclass(frozen=True)
class Labels:
    """What a teacher's outputs stand for.

    Attributes:
        width: number of outputs.
        names: of the outputs, in their order; empty where nobody named them.
    """

    width: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Names are for all outputs or for none."""
        assert not self.names or len(self.names) == self.width


@dataclass(frozen=True)
class ClassMap:
    """The teacher's outputs for each class of the data.

    Attributes:
        outputs: per class of the data, the outputs that stand for it; several are merged, their
            probabilities at temperature 1 added.
        width: number of the teacher's outputs.
        note: what was assumed, in a sentence; empty where nothing was.
    """

    outputs: tuple[tuple[int, ...], ...]
    width: int
    note: str = ""

    def in_place(self) -> bool:
        """Whether output k is class k."""
        return self.outputs == tuple((k,) for k in range(self.width))

    def identity(self) -> list[list[int]] | None:
        """As JSON; None where nothing is changed."""
        return None if self.in_place() else [list(group) for group in self.outputs]


def same_order(width: int, note: str = "") -> ClassMap:
    """Output k is class k."""
    return ClassMap(tuple((k,) for k in range(width)), width, note)


def match_classes(subject: str, data: str, classes: Sequence[str], labels: Labels) -> ClassMap:
    """Find each class of the data among the teacher's outputs by its name.

    The names may stand in another order, and the teacher may know more classes. Names that differ
    in case, spaces, hyphens and underscores alone are taken for the same, with a note. Where one
    side only numbers its classes, as many outputs as classes are taken in their order, with a note.

    Args:
        subject: what errors call the teacher.
        data: what errors call the data.
        classes: of the data.
        labels: of the teacher.

    Raises:
        ModelError: the classes cannot be matched; both lists are named.
    """
    names = labels.names
    if names == tuple(classes):
        return same_order(labels.width)
    found = _find(classes, names)
    if found is not None:
        outputs = tuple((k,) for k in found)
        return ClassMap(outputs, labels.width, _found_note(subject, classes, found, labels))
    if labels.width == len(classes):
        reason = _why_in_order(classes, names)
        if reason:
            note = f"{subject}: {reason}; its outputs were taken in the order of the data's classes"
            return same_order(labels.width, note)
    raise _mismatch(subject, data, classes, labels)


def fold(name: str) -> str:
    """A name without what spelling differs in: `Egyptian_cat` and `egyptian cat` are one."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _find(classes: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """The output of each class, of the very same name if possible; None where one is not sure."""
    exact = dict(_unique(names))
    folded = dict(_unique([fold(name) for name in names]))
    found = [exact.get(name, folded.get(fold(name), -1)) for name in classes]
    return None if -1 in found or len(set(found)) < len(found) else found


def _unique(names: Sequence[str]) -> list[tuple[str, int]]:
    """The names that occur once, with their positions."""
    counts = Counter(names)
    return [(name, k) for k, name in enumerate(names) if counts[name] == 1]


def _found_note(subject: str, classes: Sequence[str], found: list[int], labels: Labels) -> str:
    if len(found) < labels.width:
        note = f"{subject}: {len(found)} of its {labels.width} classes are the data's, by name"
    elif found != list(range(labels.width)):
        note = f"{subject}: its classes stand in another order; they were matched by name"
    else:
        note = f"{subject}: its classes were matched by name"
    pairs = [(name, labels.names[k]) for name, k in zip(classes, found, strict=True)]
    differing = [f"{ours} = {theirs}" for ours, theirs in pairs if ours != theirs]
    return note + (f"; but for their spelling: {some(differing)}" if differing else "")


def _why_in_order(classes: Sequence[str], names: Sequence[str]) -> str:
    """Why names cannot decide, where they cannot; else nothing."""
    if _is_numbered(names):
        return "its classes have no names"
    if _is_numbered(classes):
        return "the data's classes have no names"
    if all(map(_WORDNET.fullmatch, classes)) and list(classes) == sorted(classes):
        return "the data's classes are called by their WordNet numbers, which networks sort by"
    return ""


def _is_numbered(names: Sequence[str]) -> bool:
    """Whether names are none, or only 0, 1, 2, …."""
    return all(name == str(k) for k, name in enumerate(names))


def _mismatch(subject: str, data: str, classes: Sequence[str], labels: Labels) -> ModelError:
    if not labels.names:
        return ModelError(
            f"{subject}: expected {len(classes)} outputs, one a class of {data} "
            f"({listed(classes)}), found {labels.width} without names; name them with "
            "--teacher-classes FILE, or say which is which class with --class-map FILE"
        )
    counts = Counter(labels.names)
    lacking = [name for name in classes if not counts[name]]
    twice = [name for name in classes if counts[name] > 1]
    reason = f"lacks {some(lacking)}" if lacking else f"has {some(twice)} more than once"
    return ModelError(
        f"{subject}: expected the classes of {data} ({len(classes)}: {listed(classes)}), found "
        f"{labels.width}: {listed(labels.names)}; it {reason}: say which of its outputs is which "
        "class with --class-map FILE, or use a teacher of these classes"
    )


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and whether there are more."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def recorded_map(record: Mapping[str, Any], classes: Sequence[str]) -> ClassMap:
    """The class map of a manifest's "teacher" field; older ones have none.

    Raises:
        ModelError: it is for another number of classes.
    """
    groups = record.get("class_map")
    if not groups:
        return same_order(len(classes))
    if len(groups) != len(classes):
        raise ModelError(f"expected a class map for {len(classes)} classes, found {len(groups)}")
    return ClassMap(tuple(tuple(group) for group in groups), record["width"])
