"""Channels that must stay as many as others: groups, joined where a network adds or multiplies."""

from collections.abc import Sequence
from dataclasses import dataclass


class Group:
    """Channels that are made together; a union-find node.

    Attributes:
        size: how many.
        reason: why there must be as many; empty where there may be more.
        mapped: whether a convolution makes them.
    """

    def __init__(self, size: int, reason: str = "", *, mapped: bool = False) -> None:
        self.size, self.reason, self.mapped = size, reason, mapped
        self._parent: Group | None = None

    def root(self) -> "Group":
        """The group that stands for all that were joined."""
        group = self
        while group._parent is not None:
            group = group._parent
        return group

    def join(self, other: "Group") -> None:
        """Both are of one size from now on."""
        mine, its = self.root(), other.root()
        if mine is its:
            return
        its._parent = mine
        mine.reason = mine.reason or its.reason
        mine.mapped = mine.mapped or its.mapped

    def keep(self, reason: str) -> None:
        """There must be as many as there are."""
        root = self.root()
        root.reason = root.reason or reason


@dataclass(frozen=True)
class Segment:
    """A group in a tensor's second dimension.

    Attributes:
        group: the channels.
        repeat: entries for each of them: height times width after a flatten, else one.
    """

    group: Group
    repeat: int = 1

    def length(self) -> int:
        """Entries in the tensor."""
        return self.group.size * self.repeat


Label = tuple[Segment, ...]


def length(label: Label) -> int:
    """Entries of the second dimension."""
    return sum(segment.length() for segment in label)


def join_labels(labels: Sequence[Label], reason: str) -> None:
    """Make labels of equal length stay so; where they do not line up, each keeps its size."""
    first, *others = labels
    shape = [(segment.group.size, segment.repeat) for segment in first]
    if all([(s.group.size, s.repeat) for s in other] == shape for other in others):
        for other in others:
            for mine, its in zip(first, other, strict=True):
                mine.group.join(its.group)
        return
    for label in labels:
        keep_all(label, reason)


def keep_all(label: Label, reason: str) -> None:
    """Each group keeps its size."""
    for segment in label:
        segment.group.keep(reason)
