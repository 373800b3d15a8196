"""Where the names of points and lines go, so that none covers another or a measurement.

Boxes are (left, bottom, right, top) in the units of the figure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]

_GAP = 7.0  # between a marker and its name
_STEPS = 9  # up or down, of three quarters of a line each
_TOUCHING = 1.0  # cost of a place that covers nothing, but for rounding


@dataclass(frozen=True)
class Placed:
    """A name's place.

    Attributes:
        x: of the anchor.
        y: of the middle of the text.
        align: "left" or "right": which side of the text the anchor is.
        moved: whether it stands apart from its point, so that a line should lead to it.
    """

    x: float
    y: float
    align: str
    moved: bool


def place_beside(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box],
    frame: Box,
) -> list[Placed]:
    """Put each name left or right of its point, as near as nothing is covered.

    Args:
        points: x, y of each marker.
        sizes: width and height of each name.
        obstacles: markers and error bars.
        frame: what names should stay inside of.

    Returns:
        One place per point, in their order.
    """
    taken = list(obstacles)
    places = []
    for point, size in zip(points, sizes, strict=True):
        candidates = list(_candidates(point, size))
        costs = [
            _cost(_box(place, size), taken, frame) + abs(place.y - point[1]) for place in candidates
        ]
        best = candidates[costs.index(min(costs))]
        taken.append(_box(best, size))
        places.append(best)
    return places


def place_where_free(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box],
    frame: Box,
    steps: int = _STEPS,
) -> list[Placed | None]:
    """Put each name near its point where it covers nothing; None where there is no such place.

    Args:
        points: x, y of each marker; the first ones choose first.
        sizes: width and height of each name.
        obstacles: markers, error bars and other texts.
        frame: what names stay inside of.
        steps: up or down that a name may be moved.

    Returns:
        One place or None per point, in their order.
    """
    taken = list(obstacles)
    places: list[Placed | None] = []
    for point, size in zip(points, sizes, strict=True):
        boxes = ((place, _box(place, size)) for place in _candidates(point, size, steps))
        free = (place for place, box in boxes if _cost(box, taken, frame) < _TOUCHING)
        place = next(free, None)
        if place is not None:
            taken.append(_box(place, size))
        places.append(place)
    return places


def _candidates(
    point: tuple[float, float], size: tuple[float, float], steps: int = _STEPS
) -> Iterator[Placed]:
    x, y = point
    for step in sorted(range(-steps, steps + 1), key=lambda step: (abs(step), -step)):
        shift = step * size[1] * 0.75
        for align, side in (("left", 1), ("right", -1)):
            yield Placed(x + side * _GAP, y + shift, align, step != 0)


def _box(place: Placed, size: tuple[float, float]) -> Box:
    left = place.x if place.align == "left" else place.x - size[0]
    return left, place.y - size[1] / 2, left + size[0], place.y + size[1] / 2


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """Area covered and area outside of the frame, dear against the way that avoids them."""
    covered = sum(overlap(box, other) for other in taken)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 4 * covered + 10 * (area - overlap(box, frame))


def overlap(a: Box, b: Box) -> float:
    """Area that two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart and as near to the wanted ones as that allows.

    Neighbours that are too close form a block, which is centred on the mean of what its members
    want and grows where it meets the next.

    Returns:
        One position per wanted one, in their order.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[int]] = []
    for i in order:
        blocks.append([i])
        while len(blocks) > 1 and _start(blocks[-1], wanted, gap) < (
            _start(blocks[-2], wanted, gap) + gap * len(blocks[-2])
        ):
            last = blocks.pop()
            blocks[-1].extend(last)
    places = [0.0] * len(wanted)
    for block in blocks:
        for position, i in enumerate(block):
            places[i] = _start(block, wanted, gap) + gap * position
    return places


def _start(block: list[int], wanted: Sequence[float], gap: float) -> float:
    mean = sum(wanted[i] for i in block) / len(block)
    return mean - gap * (len(block) - 1) / 2
