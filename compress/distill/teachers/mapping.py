"""The class map of one teacher: the user's file where one is given, else names."""

from compress.distill.teachers.class_map import ClassMap, Labels, match_classes
from compress.distill.teachers.class_map_file import read_class_map
from compress.distill.teachers.request import Request
from compress.errors import ModelError


def find_map(request: Request, labels: Labels) -> ClassMap:
    """Which outputs of the teacher stand for which class of the data; says what it assumed.

    Raises:
        UsageError: --class-map or --teacher-classes cannot be used.
        ModelError: the classes do not match.
    """
    dataset, path = request.dataset, request.settings.class_map
    if path:
        return read_class_map(path, dataset.classes, labels)
    subject = f"--teacher {request.reference}"
    mapping = match_classes(subject, dataset.name, dataset.classes, labels)
    if mapping.note:
        request.progress.say(mapping.note)
    return mapping


def given_labels(request: Request, width: int, own: tuple[str, ...]) -> Labels:
    """The names of `width` outputs: those of --teacher-classes, else the teacher's `own`.

    Raises:
        ModelError: --teacher-classes has another number of names.
    """
    names = request.names()
    if names and len(names) != width:
        raise ModelError(
            f"--teacher-classes {request.settings.teacher_classes}: expected {width} names, one "
            f"an output of {request.reference}, found {len(names)}; add or remove some"
        )
    names = names or own
    return Labels(width, names if len(names) == width else ())
