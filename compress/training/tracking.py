"""The curves of a training: `history.csv` for a table, TensorBoard event files for a look.

Both say the same as the manifest's history; the event files also have the steps between. A run
that was stopped and goes on continues its curves: TensorBoard hides what an earlier process wrote
beyond the step at which this one begins.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from compress.artifacts import write_text
from compress.errors import ArtifactError
from compress.progress import SILENT, Progress
from compress.training.event_file import EventFile

HISTORY = "history.csv"
EVENTS = "tensorboard"
EVERY = 20  # steps that make one point of a curve

_FIRST = ("epoch", "lr", "loss")
_LAST = ("train_accuracy", "validation_accuracy", "seconds")


class Tracker:
    """Writes the curves of one training, in the process that writes.

    Attributes:
        folder: of the training.
        active: whether this process writes; all methods of the others do nothing.
    """

    def __init__(
        self, folder: Path, done: int = 0, *, active: bool = True, progress: Progress = SILENT
    ) -> None:
        """Begin, or go on, after `done` steps; a missing TensorBoard is said once.

        Args:
            folder: of the training; made if missing.
            done: steps that the weights have seen: 0, or the step of the state gone on from.
            active: whether this process is the one that writes.
            progress: where it is said that TensorBoard is not installed.
        """
        self.folder = folder
        self.active = active
        self._step = done
        self._sums: dict[str, float] = {}
        self._summed = 0
        self._events = _open_events(folder / EVENTS, done, progress) if active else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What went wrong inside is the news, even where the disk is full as well.
        with nullcontext() if error is None else suppress(ArtifactError):
            self.close()

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Take note of one step; nothing reaches the disk yet.

        Args:
            step: steps done, this one included.
            figures: of the step: "loss" and its weighted terms by name.
        """
        if self._events is None:
            return
        self._step = step
        self._summed += 1
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if self._summed == EVERY:
            self._write_point(self._events)

    def epoch(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the history, of which the last row is new, and all steps up to here.

        Raises:
            ArtifactError: the disk is full or the folder cannot be written.
        """
        if not self.active:
            return
        write_text(self.folder / HISTORY, history_csv(history))
        if self._events is not None:
            row = history[-1]
            self._events.add(self._step, {_epoch_tag(name): row[name] for name in row})
            self.flush()

    def flush(self) -> None:
        """Bring all steps so far to the disk: call it before a state is saved.

        Raises:
            ArtifactError: the disk is full or the folder cannot be written.
        """
        if self._events is not None:
            self._write_point(self._events)
            self._events.flush()

    def close(self) -> None:
        """Flush, and close the files."""
        events, self._events = self._events, None
        if events is not None:
            try:
                self._write_point(events)
            finally:
                events.close()

    def _write_point(self, events: EventFile) -> None:
        """The mean over the steps since the last point."""
        if self._summed:
            means = {f"loss/{_term(k)}": v / self._summed for k, v in self._sums.items()}
            events.add(self._step, means)
        self._sums, self._summed = {}, 0


def history_csv(history: Sequence[Mapping[str, float]]) -> str:
    """A line for each epoch; the columns are those of all rows, in an order that never changes.

    epoch, lr, loss, then the loss's terms and whatever else there is as it first appeared, then
    both accuracies (fractions) and seconds. A cell is empty where a row has no such figure.
    """
    found = dict.fromkeys(name for row in history for name in row)
    between = [name for name in found if name not in _FIRST + _LAST]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *between, *_LAST], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in history)
    return text.getvalue()


def _cell(value: float) -> str:
    """The shortest text that reads back as the same number; an epoch without its ".0"."""
    whole = math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else repr(float(value))


def _term(name: str) -> str:
    return "total" if name == "loss" else name


def _epoch_tag(name: str) -> str:
    """Where TensorBoard shows a column: apart from the curves over steps, grouped by kind."""
    if name.endswith("_accuracy"):
        return f"accuracy/{name.removesuffix('_accuracy')}"
    return name if name in ("epoch", "lr", "seconds") else f"epoch_loss/{_term(name)}"


def _open_events(folder: Path, done: int, progress: Progress) -> EventFile | None:
    """An event file, or None and a sentence where TensorBoard is not installed."""
    try:
        return EventFile(folder, done)
    except ModuleNotFoundError as error:
        progress.say(
            f"{error.name} is not installed: the curves go to {HISTORY} alone; for TensorBoard's "
            "files too: pip install 'edge-compress[train]'"
        )
        return None
