"""Which candidates no other one beats: smaller, faster and more accurate at once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a candidate is compared by.

    Attributes:
        name: of the candidate.
        accuracy: on validation, a fraction.
        size_bytes: of the file that is deployed.
        latency: seconds of one inference; None where nothing was timed.
    """

    name: str
    accuracy: float
    size_bytes: float
    latency: float | None = None


def beats(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better.

    Time counts only where both were timed.
    """
    differences = [one.accuracy - other.accuracy, other.size_bytes - one.size_bytes]
    if one.latency is not None and other.latency is not None:
        differences.append(other.latency - one.latency)
    return min(differences) >= 0 and max(differences) > 0


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other one beats, in their order."""
    return [one for one in points if not any(beats(other, one) for other in points)]


def layers(points: Sequence[Point]) -> list[list[Point]]:
    """The front, the front of what is left without it, and so on."""
    left, found = list(points), []
    while left:
        layer = front(left)
        found.append(layer)
        left = [point for point in left if point not in layer]
    return found


def ranked(points: Sequence[Point]) -> list[str]:
    """Names, the ones to keep first: by layer, and within a layer the more accurate first.

    A layer holds candidates that trade size for accuracy. Of these the more accurate one is worth
    more epochs: how large and fast a candidate is was known before, and is within the goals of all.
    """
    return [
        point.name
        for layer in layers(points)
        for point in sorted(layer, key=lambda point: (-point.accuracy, point.size_bytes))
    ]
