"""What a search's trainings have come to, on disk, so that one that was killed goes on.

search/record.json          every candidate's accuracies, rewritten after each epoch
search/NAME/student/        its training state, later its checkpoint
search/NAME/bundle/         its files
search/logits-HxW/          the teacher's answers on views of a size, which all share
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compress.artifacts import SCHEMA, read_json, write_json
from compress.errors import ArtifactError

RECORD = "record.json"
LOGITS = "logits"  # a folder for each size of views
_KIND = "search record"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a candidate's training has come.

    Attributes:
        accuracies: on validation after each epoch, fractions.
        seconds: that it has trained.
        failure: why it ended early; empty where it did not.
    """

    accuracies: tuple[float, ...] = ()
    seconds: float = 0.0
    failure: str = ""

    def epochs(self) -> int:
        """That it has taken; one that failed did so in an epoch that it never told of."""
        return len(self.accuracies) + bool(self.failure)


@dataclass
class Record:
    """The trainings of a search, in memory and on disk.

    Attributes:
        folder: where.
        standings: by candidate.
        judged: verdicts on finalists' files, each with what it depends on.
        teacher: its accuracy on validation with interval; empty before it was asked.
        seconds: of the search's other parts.
    """

    folder: Path
    standings: dict[str, Standing] = field(default_factory=dict)
    judged: list[dict[str, Any]] = field(default_factory=list)
    teacher: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, name: str) -> Standing:
        """A candidate's standing; the start where it was never trained."""
        return self.standings.get(name, Standing())

    def epochs(self, names: Iterable[str]) -> int:
        """Student epochs of these candidates so far; others are of an earlier search in here."""
        return sum(self.of(name).epochs() for name in names)

    def trained_seconds(self, names: Iterable[str]) -> float:
        """That these candidates have trained."""
        return sum(self.of(name).seconds for name in names)

    def put(self, name: str, standing: Standing) -> None:
        """Keep a candidate's standing."""
        self.standings[name] = standing
        self._write()

    def verdicts(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was found of the files that `key` tells apart; None where nothing was."""
        found = [entry["verdicts"] for entry in self.judged if entry["key"] == key]
        return found[-1] if found else None

    def judge(self, key: Mapping[str, Any], verdicts: Mapping[str, Any]) -> None:
        """Keep the verdicts on the finalists, and what they depend on."""
        self.judged.append({"key": dict(key), "verdicts": dict(verdicts)})
        self._write()

    def met_teacher(self, accuracy: Mapping[str, Any]) -> None:
        """Keep the teacher's accuracy on validation."""
        self.teacher = dict(accuracy)
        self._write()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part of the search."""
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[part] = self.seconds.get(part, 0.0) + took
            self._write()

    def student(self, name: str) -> Path:
        """A candidate's training, later its checkpoint."""
        return self.folder / name / "student"

    def bundle(self, name: str) -> Path:
        """A finalist's files."""
        return self.folder / name / "bundle"

    def _write(self) -> None:
        standings = {name: asdict(standing) for name, standing in self.standings.items()}
        content: dict[str, Any] = {"schema": SCHEMA, "kind": _KIND, "standings": standings}
        content |= {"judged": self.judged, "teacher": self.teacher, "seconds": self.seconds}
        write_json(self.folder / RECORD, content)


def open_record(folder: Path) -> Record:
    """The record in a folder; an empty one where none was begun.

    Raises:
        ArtifactError: it cannot be read.
    """
    record, path = Record(folder), folder / RECORD
    if not path.is_file():
        return record
    content = read_json(path, kind=_KIND)
    try:
        record.standings = {
            name: Standing(**{**fields, "accuracies": _numbers(fields["accuracies"])})
            for name, fields in content["standings"].items()
        }
        record.judged, record.seconds = list(content["judged"]), dict(content["seconds"])
        record.teacher = dict(content["teacher"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not the record of a search ({error}); give --force to search anew"
        ) from error
    return record


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
