"""Who is trained, how far, and who goes on: pure functions of what was measured so far.

All candidates are trained for a few epochs of the full schedule, the better half for a third of it,
the better half of these to the end. So most epochs go to candidates that are worth them.

Source: successive halving, Jamieson & Talwalkar, arXiv:1502.07943.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compress.errors import UsageError
from compress.search.deployed import size_of
from compress.search.front import Point, ranked
from compress.settings import Searching

_SHARES = (1 / 8, 1 / 3)  # of the full schedule, before its end
_TIMES = 4  # a full training: what all candidates may take together, where nothing is said


def rungs(epochs: int, warmup: float) -> tuple[int, ...]:
    """The epochs after which candidates are compared; the last is the end of the schedule.

    None lies in the warm-up, in which larger steps look like better networks.

    Args:
        epochs: of a full training.
        warmup: share of it in which the learning rate rises.
    """
    risen = math.ceil(warmup * epochs)
    found = {max(1, risen, round(share * epochs)) for share in _SHARES}
    return (*sorted(rung for rung in found if rung < epochs), epochs)


def survivors(points: Sequence[Point]) -> list[str]:
    """The half, rounded up, that goes on to the next rung."""
    return ranked(points)[: math.ceil(len(points) / 2)]


def budget_of(searching: Searching, epochs: int) -> int:
    """Student epochs that all candidates may take together.

    Args:
        searching: what was asked for.
        epochs: of a full training.

    Raises:
        UsageError: not enough for one candidate.
    """
    budget = searching.search_epochs or _TIMES * epochs
    if budget < epochs:
        raise UsageError(
            f"--search-epochs {budget}: expected {epochs} or more, which one candidate takes; "
            "give more, or fewer distill.epochs"
        )
    return budget


def affordable(count: int, steps: Sequence[int], budget: int) -> int:
    """How many of `count` candidates the budget carries through all rungs.

    Args:
        count: that there are.
        steps: the rungs.
        budget: epochs of all candidates together.

    Returns:
        At least one: less is no search.
    """
    fitting = [number for number in range(1, count + 1) if cost(number, steps) <= budget]
    return max(fitting, default=1)


def cost(count: int, steps: Sequence[int]) -> int:
    """Epochs that `count` candidates take together, halved at each rung but the last."""
    total, before = 0, 0
    for step in steps:
        total += count * (step - before)
        count, before = math.ceil(count / 2), step
    return total


def chosen(candidates: Sequence[Mapping[str, Any]], count: int, precision: str) -> list[str]:
    """The names of those that are trained, of all that may meet the goals.

    Accuracy is not known yet. It grows with size within a family, and differs between families. So
    each family sends first its largest that may meet the goals, which is the likeliest to be
    accurate enough and shows what the family is worth; then its smallest, which wins if that is
    enough; then what lies farthest from those before it. Families take turns, largest first.

    Args:
        candidates: as a search's JSON has them.
        count: how many at most.
        precision: of the file that is deployed.
    """

    def size(candidate: Mapping[str, Any]) -> float:
        return size_of(candidate, precision)

    families: dict[str, list[Mapping[str, Any]]] = {}
    for candidate in sorted(candidates, key=lambda one: (-size(one), one["name"])):
        families.setdefault(str(candidate["student"]), []).append(candidate)
    queues = [_spread(members, size) for members in families.values()]
    turns = max((len(queue) for queue in queues), default=0)
    order = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    return order[:count]


def _spread(
    members: Sequence[Mapping[str, Any]], size: Callable[[Mapping[str, Any]], float]
) -> list[str]:
    """Largest, smallest, then each time the one whose size is farthest from those before it."""
    sizes = [math.log(size(member)) for member in members]
    order = [0]
    while len(order) < len(members):
        left = [i for i in range(len(members)) if i not in order]
        order.append(max(left, key=lambda i: (min(abs(sizes[i] - sizes[k]) for k in order), -i)))
    return [str(members[i]["name"]) for i in order]


def not_needed(points: Sequence[Point], enough: Mapping[str, bool]) -> dict[str, str]:
    """Those that cannot win any more, each with the rival that is there before it.

    The winner is the smallest that meets all goals. Whoever is larger and slower than a rival that
    is surely accurate enough already only repeats what the rival can do.

    Args:
        points: of all that are still in.
        enough: whether a candidate meets the accuracy goals with its whole interval.
    """
    found = {}
    for point in points:
        rivals = [p for p in points if enough.get(p.name) and _below(p, point)]
        if rivals:
            found[point.name] = min(rivals, key=lambda p: p.size_bytes).name
    return found


def _below(rival: Point, point: Point) -> bool:
    """Smaller, and faster where both were timed."""
    slower = (
        rival.latency is not None and point.latency is not None and rival.latency > point.latency
    )
    return rival.size_bytes < point.size_bytes and not slower
