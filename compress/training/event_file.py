"""TensorBoard's event files: curves over steps that go on where an earlier process ended."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.errors import ArtifactError


class EventFile:
    """One event file, written by tensorboard's own record writer.

    Not torch's SummaryWriter: it imports TensorFlow where that is installed, which takes seconds,
    and writes through a thread, which does not survive the fork of a loader's worker.
    """

    def __init__(self, folder: Path, done: int) -> None:
        """Open the next file of `folder` and hide what earlier ones hold beyond step `done`."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        self._path = _next_path(folder)
        with _writing(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            # A file buffer, kept open until `close`: a step costs no system call.
            self._file = self._path.open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        started = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=done + 1, session_log=started))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """All `figures`, by tag, at `step`."""
        values = [self._summary.Value(tag=tag, simple_value=v) for tag, v in figures.items()]
        summary = self._summary(value=values)
        self._write(self._event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        with _writing(self._path):
            self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Bring it to the disk."""
        with _writing(self._path):
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with _writing(self._path):
            self._file.close()


def _next_path(folder: Path) -> Path:
    """A name after all others: TensorBoard reads a folder's files in the order of their names.

    As it is their second that orders them, two processes within one second, or a clock that was
    set back, must not come in the wrong order.
    """
    seconds = [
        int(path.name.split(".")[3])
        for path in folder.glob("events.out.tfevents.*")
        if path.name.split(".")[3].isdigit()
    ]
    number = max([int(time.time()), *(s + 1 for s in seconds)])
    return folder / f"events.out.tfevents.{number:010d}.compress"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """An error of the disk inside is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose "
            "another place, then give the command again"
        ) from error
