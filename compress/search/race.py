"""The halving itself: trains, compares, drops; and who is trained on where no finalist will do.

Nothing is remembered but the accuracies in the record: asked again after a kill, the same
accuracies lead to the same answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.intervals import wilson
from compress.progress import Progress
from compress.search.deployed import latency_of, precision_of, size_of
from compress.search.families import TEACHER
from compress.search.front import Point
from compress.search.goals import form_of
from compress.search.halving import not_needed, survivors
from compress.search.record import Record
from compress_bench.metrics import Goal


@dataclass(frozen=True, kw_only=True)
class Field:
    """Who runs, and what decides.

    Attributes:
        candidates: that may meet the goals, as the search's JSON has them, by name.
        names: of those that are trained, in their order.
        steps: epochs after which they are compared; the last is the end.
        goals: of their files, each with what it is compared with.
        record: their accuracies.
    """

    candidates: Mapping[str, Mapping[str, Any]]
    names: tuple[str, ...]
    steps: tuple[int, ...]
    goals: Sequence[Goal]
    record: Record

    def point(self, name: str, step: int) -> Point:
        """What a candidate is compared by at a step."""
        candidate = self.candidates[name]
        return Point(
            name=name,
            accuracy=self.record.of(name).accuracies[step - 1],
            size_bytes=self.size(name),
            latency=latency_of(candidate, precision_of(self.goals)),
        )

    def size(self, name: str) -> float:
        """Bytes of the file that goals are about."""
        return size_of(self.candidates[name], precision_of(self.goals))

    def epochs(self) -> int:
        """That these candidates have taken together."""
        return self.record.epochs(self.candidates)

    def wanted_accuracy(self) -> float | None:
        """On validation, so that goals on answers are met; None where accuracy does not say it."""
        limits = [0.0]
        for goal in self.goals:
            if not form_of(goal).needs_images:
                continue
            taught = self.record.teacher.get("value")
            if goal.metric == "accuracy" and goal.bound == "min":
                limits.append(goal.limit)
            elif goal.metric == "accuracy" and goal.vs == TEACHER and taught is not None:
                limits.append(taught - goal.limit)
            else:
                return None
        return max(limits)

    def reaches(self, name: str, step: int) -> bool:
        """Whether the wanted accuracy lies below the upper end of the interval at a step."""
        wanted, images = self.wanted_accuracy(), self.record.teacher["n"]
        if wanted is None or not step:
            return False
        right = round(self.record.of(name).accuracies[step - 1] * images)
        return wilson(right, images).high >= wanted

    def enough(self, points: Sequence[Point]) -> dict[str, bool]:
        """Whether a candidate is accurate enough already with its whole interval."""
        wanted, images = self.wanted_accuracy(), self.record.teacher["n"]
        return {
            point.name: wanted is not None
            and wilson(round(point.accuracy * images), images).low >= wanted
            for point in points
        }


@dataclass(frozen=True, kw_only=True)
class Halved:
    """How a halving ended.

    Attributes:
        finalists: trained to the end, in their order.
        left: after how many epochs the others were dropped.
        reasons: why, in sentences; also of those that failed.
    """

    finalists: tuple[str, ...]
    left: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def why(self) -> str:
        """All reasons in one line."""
        return "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())


def halve(race: Field, train: Callable[[str, int], None], progress: Progress) -> Halved:
    """Train all candidates to the first rung, the better half to the next, and so to the end.

    Args:
        race: who, and how far.
        train: trains one up to an epoch; where that fails, the record says so.
        progress: told of each rung.
    """
    running = list(race.names)
    left: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for step in race.steps:
        for name in running:
            train(name, step)
        failed = [name for name in running if len(race.record.of(name).accuracies) < step]
        reasons |= {name: race.record.of(name).failure for name in failed}
        points = [race.point(name, step) for name in running if name not in failed]
        if step == race.steps[-1]:
            running = [point.name for point in points]
            break
        gone = _leaving(race, points, step)
        running = [point.name for point in points if point.name not in gone]
        left |= dict.fromkeys(gone, step)
        reasons |= gone
        progress.say(f"search: going on after epoch {step}: {_listed(race, running, step)}")
    return Halved(finalists=tuple(running), left=left, reasons=reasons)


def _leaving(race: Field, points: Sequence[Point], step: int) -> dict[str, str]:
    """Those that end at a rung, and why."""
    rivals = not_needed(points, race.enough(points))
    reasons = {
        name: f"not needed: {rival} is smaller, no slower, and accurate enough already"
        for name, rival in rivals.items()
    }
    going = survivors([point for point in points if point.name not in rivals])
    beaten = [point for point in points if point.name not in (*rivals, *going)]
    return reasons | {
        point.name: f"dropped after epoch {step} with {100 * point.accuracy:.1f} % right on "
        "validation: others were more accurate, or no worse and smaller or faster"
        for point in beaten
    }


@dataclass(frozen=True, kw_only=True)
class SoFar:
    """What the judging of finalists has come to.

    Attributes:
        finalists: those that were trained to the end.
        smallest_bytes: of the smallest file that meets all goals; None while there is none.
    """

    finalists: tuple[str, ...]
    smallest_bytes: float | None


def next_in_line(race: Field, halved: Halved, found: SoFar, budget: int) -> str | None:
    """Who is trained to the end as well, while the budget lasts; None where nobody is.

    Where no finalist meets the goals: of the dropped ones the most accurate when it was dropped,
    then those that were never trained. Where one does: a smaller one that was dropped although its
    interval reached the wanted accuracy already then.

    Args:
        race: who may meet the goals, with the record of them all.
        halved: who was dropped when.
        found: what is known of the finalists.
        budget: epochs of all together.
    """

    def accuracy(name: str) -> float:
        step = halved.left.get(name, 0)
        return race.record.of(name).accuracies[step - 1] if step else -1.0

    def is_affordable(name: str) -> bool:
        rest = race.steps[-1] - len(race.record.of(name).accuracies)
        return rest <= budget - race.epochs()

    waiting = [
        name
        for name in race.candidates
        if name not in found.finalists
        and (name in halved.left or name not in race.names)
        and not race.record.of(name).failure
        and is_affordable(name)
    ]
    if found.smallest_bytes is not None:
        waiting = [
            name
            for name in waiting
            if race.size(name) < found.smallest_bytes
            and race.reaches(name, halved.left.get(name, 0))
        ]
    return max(waiting, key=accuracy, default=None)


def _listed(race: Field, names: Sequence[str], step: int) -> str:
    accuracies = {name: race.record.of(name).accuracies[step - 1] for name in names}
    return ", ".join(f"{name} ({100 * found:.1f} %)" for name, found in accuracies.items())
