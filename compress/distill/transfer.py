"""The transfer set: unlabelled images that a teacher teaches on, in place of the training split."""

from dataclasses import replace

from compress.data.dataset import Dataset
from compress.data.unlabelled import Unlabelled, leak_notes, open_unlabelled
from compress.progress import Progress
from compress.settings import Run


def open_transfer(
    reference: str | None, dataset: Dataset, run: Run, progress: Progress
) -> Unlabelled | None:
    """Read the images that `--transfer` names; None where it was not given.

    Says how many of them are also in validation or test, and keeps that in the `notes`: they
    belong beside the accuracies.

    Raises:
        DataError: no such source, or no image in it that can be read.
    """
    if reference is None:
        return None
    found = open_unlabelled(
        reference,
        channels=dataset.channels,
        resize=run.resize,
        max_bad=run.max_bad,
        progress=progress,
    )
    found = replace(found, notes=(*found.notes, *leak_notes(found, dataset)))
    progress.say_all(found.notes)
    return found
