"""Features of a course: which layers of both networks are compared, and how that is trained."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from compress.data.dataset import Dataset
from compress.distill.connectors import save_connectors
from compress.distill.course import Course
from compress.distill.pairing import Planned, Side, make_pupil, plan_features
from compress.distill.signals import Signals
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.tapped import TappedTeacher, network_of, tap_teacher
from compress.distill.wish import Wish
from compress.errors import UsageError
from compress.models.head import in_eval
from compress.models.taps import Recorder
from compress.training.evaluate import device_of
from compress.training.pupil import Pupil
from compress.training.trainee import build_network

_TRIED = 2  # images: as few as a BatchNorm takes statistics of


def find_features(
    course: Course, wish: Wish, dataset: Dataset, teacher: Teacher
) -> tuple[Planned, ...]:
    """The pairs of layers that the losses of a course compare; none where they need no features.

    Raises:
        UsageError: the teacher cannot be looked into, or layers are not there or do not match.
        ModelError: a layer gives no tensor, or a method cannot connect such layers.
    """
    if "features" not in course.needs():
        return ()
    network = network_of(teacher, wish.teachers.teacher_runtime)
    built, _ = build_network(wish.student, wish.network, dataset, wish.run, wish.run.seed)
    sides = [
        Side(subject, module, (spec.channels, *spec.size))
        for subject, module, spec in (
            ("student", built.module, built.preprocessing),
            ("teacher", network.model.module, network.preprocessing),
        )
    ]
    features = plan_features(course.chosen, *sides)
    _refuse_frozen(sides[0], features)
    _try_losses(course, features, make_pupil(built.module, features))
    return features


def _refuse_frozen(student: Side, features: Sequence[Planned]) -> None:
    """A layer behind frozen ones alone cannot learn anything.

    Raises:
        UsageError: names the method and the layer.
    """
    recorder = Recorder(student.module, [one.pair.student for one in features], student.subject)
    recorder.start()
    try:
        with in_eval(student.module):
            student.module(torch.zeros(_TRIED, *student.input_shape).to(device_of(student.module)))
        caught = recorder.caught()
    finally:
        recorder.close()
    for one, tensor in zip(features, caught, strict=True):
        if not tensor.requires_grad:
            raise UsageError(
                f"--method {one.method.name}: expected weights that are trained before layer "
                f"{one.pair.student} of the student, found them all frozen; lower --freeze, or "
                "name a later layer"
            )


def _try_losses(course: Course, features: Sequence[Planned], pupil: Pupil) -> None:
    """Let each loss see features of the shapes that it will get: what does not fit is refused here.

    Raises:
        ModelError: names the method and the shapes.
    """
    pupil.close()
    blank = torch.zeros(_TRIED, 2)  # logits, of no interest
    for owner, one in enumerate(course.chosen):
        own = [(k, pair) for k, pair in enumerate(features) if pair.owner == owner]
        student = (pupil.connectors[k](torch.zeros(_TRIED, *p.pair.student_shape)) for k, p in own)
        teacher = (torch.zeros(_TRIED, *p.pair.teacher_shape) for _, p in own)
        signals = Signals(
            student_logits=blank,
            teacher_logits=blank,
            labels=torch.zeros(_TRIED, dtype=torch.int64),
            indices=torch.arange(_TRIED),
            student_features=tuple(student),
            teacher_features=tuple(teacher),
        )
        if own:
            one.method.loss(signals, one.settings)


def tapped(teacher: Teacher, features: Sequence[Planned]) -> TappedTeacher:
    """The teacher with taps where losses look into it."""
    return tap_teacher(teacher, [one.pair.teacher for one in features])


def extension(features: Sequence[Planned]) -> Callable[[nn.Module], Pupil] | None:
    """What makes the pupil that is trained from a student; None where no loss needs features."""
    return partial(make_pupil, planned=features) if features else None


def keeping(features: Sequence[Planned]) -> Callable[[Path, Pupil], None]:
    """What writes a trained pupil's connectors beside its checkpoint."""
    return partial(save_connectors, planned=features)
