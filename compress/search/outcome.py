"""What a search has come to: the winner or the nearest, the front, and why of each candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.data.wording import counted
from compress.intervals import wilson
from compress.search.distances import distance, distances
from compress.search.families import TEACHER
from compress.search.front import Point, front
from compress.search.race import Field, Halved

Content = dict[str, Any]
FINALIST, FAILED, DROPPED = "finalist", "failed", "dropped"
_ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """What came of the candidates that were trained.

    Attributes:
        race: who, how far, and what decides.
        halved: who was dropped, and why.
        finalists: those that were trained to the end.
        verdicts: on their files, by name; and what was measured of the teacher's.
    """

    race: Field
    halved: Halved
    finalists: Sequence[str]
    verdicts: Mapping[str, Any]


def conclude(screened: Content, found: Trainings) -> Content:
    """The search's JSON, with what came of its candidates on validation."""
    candidates = [_candidate(c, found) for c in screened["candidates"]]
    judged = [c for c in candidates if c["met"] is not None]
    on_front = {point.name for point in front([_point(c) for c in judged])}
    best = choose(judged)
    won = best["name"] if best["met"] == "pass" else None
    for candidate in candidates:
        candidate |= {
            "on_front": candidate["name"] in on_front,
            "won": candidate["name"] == won,
        }
    record, names = found.race.record, [candidate["name"] for candidate in candidates]
    seconds = record.seconds | {"training": record.trained_seconds(names)}
    return screened | {
        "candidates": candidates,
        "teacher": _teacher(screened["teacher"], found),
        "rungs": list(found.race.steps),
        "epochs": record.epochs(names),
        "images": record.teacher["n"],
        "winner": won,
        "nearest": best["name"],
        "verdict": best["met"],
        "distances": [] if won else distances(judged),
        "sentences": [*_sentences(candidates, best, found), *screened["sentences"]],
        "seconds": screened["seconds"] | seconds,
    }


def choose(judged: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The smallest file that meets all goals; else undecided before missed, the nearest first."""

    def rank(candidate: Mapping[str, Any]) -> tuple[float, ...]:
        order, size = _ORDER[candidate["met"]], candidate["deployed"]["size_bytes"]
        return (order, distance(candidate) if order else 0.0, size)

    return min(judged, key=rank)


def _candidate(candidate: Mapping[str, Any], found: Trainings) -> Content:
    """A candidate with what became of it."""
    name, race = candidate["name"], found.race
    standing = race.record.of(name)
    content = dict(candidate) | {"trained": _trained(name, race)}
    if standing.failure:
        return content | {"state": FAILED, "reason": standing.failure}
    if name in found.finalists:
        return content | {"state": FINALIST, "reason": ""} | dict(found.verdicts[name])
    if name in found.halved.left:
        return content | {"state": DROPPED, "reason": found.halved.reasons[name]}
    if candidate["screened"] == "fail" or candidate["reason"]:
        return content
    return content | {"reason": "others were to be trained first, and no more than these"}


def _trained(name: str, race: Field) -> Content | None:
    standing = race.record.of(name)
    if not standing.accuracies:
        return None
    images = race.record.teacher["n"]
    interval = wilson(round(standing.accuracies[-1] * images), images)
    return {
        "epochs": len(standing.accuracies),
        "of": race.steps[-1],
        "accuracies": list(standing.accuracies),
        "validation": {"value": interval.value, "low": interval.low, "high": interval.high}
        | {"n": images},
        "seconds": standing.seconds,
    }


def _teacher(teacher: Mapping[str, Any], found: Trainings) -> Content:
    """The teacher as trained: its accuracy, and its file beside the finalists'."""
    measured, known = found.verdicts.get(TEACHER) or {}, found.race.record.teacher
    validation = measured.get("accuracy") or (known if "value" in known else None)
    fresh = {key: measured[key] for key in ("latency", "size_bytes") if measured.get(key)}
    return dict(teacher) | fresh | {"validation": validation}


def _point(candidate: Mapping[str, Any]) -> Point:
    deployed = candidate["deployed"]
    latency, accuracy = deployed["latency"], deployed["accuracy"]
    return Point(
        name=candidate["name"],
        accuracy=accuracy["value"] if accuracy else 0.0,
        size_bytes=deployed["size_bytes"],
        latency=latency["value"] if latency else None,
    )


def _sentences(
    candidates: Sequence[Mapping[str, Any]], best: Mapping[str, Any], found: Trainings
) -> list[str]:
    """What was done, and who won or comes nearest."""
    out = sum(c["screened"] == "fail" for c in candidates)
    trained = sum(c["trained"] is not None for c in candidates)
    images = found.race.record.teacher["n"]
    epochs = found.race.record.epochs(c["name"] for c in candidates)
    missed = f", {out} of which miss a goal whatever they learn" if out else ""
    done = (
        f"{counted(len(candidates), 'candidate')} looked at{missed}; {trained} trained, for "
        f"{counted(epochs, 'epoch')} together, and {len(found.verdicts) - 1} of them to the end"
    )
    ends = {
        "pass": f"{best['name']} is the smallest that meets all goals on the {images:,} validation "
        "images",
        "inconclusive": f"no candidate is shown to meet all goals on the {images:,} validation "
        f"images; {best['name']} comes nearest, and its intervals do not decide",
        "fail": f"no candidate meets all goals on the {images:,} validation images; {best['name']} "
        "comes nearest",
    }
    return [ends[best["met"]], done]
