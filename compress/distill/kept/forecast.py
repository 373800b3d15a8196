"""What keeping the logits costs, and from when on it pays: said before it starts."""

import shutil
from pathlib import Path

from compress.data.wording import counted, size_text
from compress.errors import ArtifactError


def require_space(folder: Path, needed_bytes: int) -> None:
    """Refuse what the disk cannot hold.

    Args:
        folder: where it would be written.
        needed_bytes: that are not there yet.

    Raises:
        ArtifactError: names both sizes.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise ArtifactError(
            f"{folder}: the kept logits need {size_text(needed_bytes)}, {size_text(free)} are "
            "free; choose another folder, fewer --views, or fewer logits with --top-k"
        )


def cost_sentence(views: int, images: int, classes: int, size_bytes: int) -> str:
    """How much is kept: views x images x classes, and the bytes of all of them."""
    return (
        f"kept logits: {counted(views, 'view')} x {counted(images, 'image')} x "
        f"{counted(classes, 'class')}, {size_text(size_bytes)}"
    )


def break_even(views: int, passes: int) -> str:
    """From which trial on the kept logits cost less than asking the teacher live.

    Args:
        views: passes of the teacher that keeping costs, once.
        passes: that a trial with a live teacher costs: epochs times runs.

    Returns:
        A part of a sentence.
    """
    trial = views // passes + 1
    if trial == 1:
        return f"pays in the 1st trial: {views} instead of {passes} passes of the teacher"
    return f"pays from the {_ordinal(trial)} trial on these views"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
