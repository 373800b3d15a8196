"""A folder of kept logits as a teacher: compress logits wrote it, here or elsewhere."""

from pathlib import Path

from compress.distill.teachers.class_map import Labels
from compress.distill.teachers.mapping import find_map
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.request import Request

_HEADER = "logits.json"  # what makes a folder one of kept logits


def claims(reference: str) -> bool:
    """A folder that compress logits has begun."""
    return (Path(reference) / _HEADER).is_file()


def load(request: Request) -> Teacher:
    """Open the folder; it is bound to views later.

    Raises:
        UsageError: a flag whose answer the folder gives.
        ArtifactError: a damaged folder.
        ModelError: other classes than the data's.
    """
    # Here, since whoever keeps logits needs the teachers first.
    from compress.distill.kept.folder import read_folder
    from compress.distill.kept.teacher import open_kept_teacher

    folder = Path(request.reference)
    expected = "a teacher that is no folder of kept logits"
    request.refuse_flags(("class_map",), expected, "which says it itself")
    classes = read_folder(folder).classes
    mapping = find_map(request, Labels(len(classes), classes))
    return open_kept_teacher(folder, request.dataset, mapping)
