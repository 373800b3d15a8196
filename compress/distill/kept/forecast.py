"""What keeping the logits costs, and from when on it pays: said before it starts."""

import shutil
from pathlib import Path

from compress.errors import ArtifactError

_BYTE_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


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
        f"kept logits: {_counted(views, 'view')} x {_counted(images, 'image')} x "
        f"{_counted(classes, 'class', 'classes')}, {size_text(size_bytes)}"
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


def size_text(size_bytes: float) -> str:
    """Bytes for people, in powers of ten."""
    for factor, unit in _BYTE_UNITS:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"


def duration_text(seconds: float) -> str:
    """A rough duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
