"""What a kind of teacher gets to load itself, and how it refuses flags that it cannot take."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path

from compress.data.dataset import Dataset
from compress.errors import UsageError
from compress.progress import Progress
from compress.settings import Run, Teachers

_OF_ALL = (
    "teacher",
    "teacher_shares",
    "teacher_runtime",
)  # settings that describe no single teacher


@dataclass(frozen=True, kw_only=True)
class Request:
    """One teacher that is wanted.

    Attributes:
        reference: as the user wrote it.
        settings: flags, which describe this teacher.
        dataset: what the student learns on.
        run: device, threads, resize rule.
        progress: where notes go.
    """

    reference: str
    settings: Teachers
    dataset: Dataset
    run: Run
    progress: Progress

    def refuse_flags(self, allowed: Collection[str], expected: str, reason: str) -> None:
        """Refuse flags that this kind of teacher would ignore.

        Args:
            allowed: settings that it takes.
            expected: kind of teacher that the others are for.
            reason: why this one has no use for them.

        Raises:
            UsageError: names the first flag.
        """
        for name in given_flags(self.settings):
            if name not in allowed:
                raise UsageError(
                    f"--{name.replace('_', '-')}: expected {expected}, found {self.reference}, "
                    f"{reason}; leave the flag out"
                )

    def names(self) -> tuple[str, ...]:
        """The lines of --teacher-classes; empty where it was not given.

        Raises:
            UsageError: the file cannot be read, or holds an empty line.
        """
        path = self.settings.teacher_classes
        return read_names(path) if path else ()


def given_flags(settings: Teachers) -> tuple[str, ...]:
    """Names of the settings of a single teacher that differ from their defaults."""
    return tuple(
        field.name
        for field in fields(Teachers)
        if field.name not in _OF_ALL and getattr(settings, field.name) != field.default
    )


def read_names(path: Path) -> tuple[str, ...]:
    """Class names, one a line.

    Raises:
        UsageError: the file cannot be read, or holds an empty line.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--teacher-classes {path}: expected a text file with a class name a line, found one "
            f"that cannot be read ({error}); give another"
        ) from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines or "" in lines:
        where = f"line {lines.index('') + 1} empty" if lines else "an empty file"
        raise UsageError(
            f"--teacher-classes {path}: expected a class name on every line, found {where}; "
            "a line belongs to each output of the teacher, in their order"
        )
    return tuple(lines)
