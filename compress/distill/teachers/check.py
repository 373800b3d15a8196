"""What is looked at before a teacher teaches: NaN, a double softmax, another normalisation."""

from dataclasses import dataclass

import numpy as np
import torch

from compress.data.dataset import Dataset, Split, select
from compress.distill.teachers.interpret import refuse_softmax
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mean import MeanTeacher, weighted_sum
from compress.distill.teachers.normalisation import alternatives, flags
from compress.distill.teachers.protocol import Teacher
from compress.errors import ModelError
from compress.progress import SILENT, Progress
from compress.training.evaluate import accuracy, are_probabilities, evaluation_batches
from compress.training.trainee import views_size

_PROBE_IMAGES = 256
_SUSPICIOUS_GAIN = 0.1  # accuracy that another normalisation must add before we refuse


@dataclass(frozen=True)
class _Look:
    """A split as a teacher is shown it: plain, at one size."""

    split: Split
    size: tuple[int, int]

    def answers(self, teacher: LiveTeacher, progress: Progress = SILENT) -> torch.Tensor:
        """Logits of all images, float32 [N, classes]; refuses probabilities that are no logits."""
        parts, softmax = [], len(self.split) > 0
        with progress.task(f"asking {teacher.name}", total=len(self.split)) as advance:
            for indices in evaluation_batches(len(self.split), teacher.network.preprocessing):
                outputs = teacher.network.outputs(self.split.images.batch(indices, self.size))
                parts.append(teacher.interpret(outputs).cpu())
                softmax = softmax and are_probabilities(outputs)
                advance(len(indices))
        if softmax and teacher.interpreter.output == "logits":
            remedy = "give --teacher-output probabilities, or remove the softmax at its end"
            raise refuse_softmax(teacher.subject, remedy)
        return torch.cat(parts)

    def accuracy(self, teacher: LiveTeacher) -> float:
        """Share of right answers."""
        return accuracy(self.answers(teacher).numpy(), self.split.labels)


def check_teacher(teacher: Teacher, dataset: Dataset, progress: Progress) -> float | None:
    """Let every live teacher answer validation before it teaches anything.

    Returns:
        Accuracy on validation, of several teachers together: a fraction. None where answers were
        kept, which cannot be asked about other images.

    Raises:
        ModelError: NaN, outputs that are not what they are said to be, probabilities in place of
            logits, or a normalisation that is not the teacher's own.
    """
    members = teacher.teachers if isinstance(teacher, MeanTeacher) else (teacher,)
    shares = teacher.shares if isinstance(teacher, MeanTeacher) else (1.0,)
    logits = []
    for member in members:
        if isinstance(member, LiveTeacher):
            logits.append(_check(member, dataset, progress))
            if len(members) > 1:
                found = accuracy(logits[-1].numpy(), dataset.validation.labels)
                progress.say(f"teacher {member.name}: {100 * found:.1f} % right on validation")
    if len(logits) < len(members):
        return None
    return accuracy(weighted_sum(logits, shares).numpy(), dataset.validation.labels)


def _check(teacher: LiveTeacher, dataset: Dataset, progress: Progress) -> torch.Tensor:
    """The teacher's logits on validation, once they are found to be in order."""
    look = _Look(dataset.validation, views_size(dataset, *teacher.inputs))
    logits = look.answers(teacher, progress)
    if not teacher.normalisation_known:
        _probe_normalisation(teacher, look, progress)
    return logits


def _probe_normalisation(teacher: LiveTeacher, look: _Look, progress: Progress) -> None:
    """Refuse a normalisation when another one in use makes the teacher clearly better."""
    probe = _Look(_spread(look.split, _PROBE_IMAGES), look.size)
    own = teacher.network.preprocessing
    others = alternatives(own)
    scores = {}
    title = f"trying other normalisations on {teacher.name}"
    with progress.task(title, total=1 + len(others)) as advance:
        stated = probe.accuracy(teacher)
        for name, spec in others.items():
            advance(1)
            scores[name] = probe.accuracy(teacher.with_preprocessing(spec))
        advance(1)
    best = max(scores, key=lambda name: scores[name])
    if scores[best] > stated + _SUSPICIOUS_GAIN:
        raise ModelError(
            f"{teacher.subject}: {100 * stated:.0f} % right with the normalisation {flags(own)}, "
            f"{100 * scores[best]:.0f} % with {best}; give {flags(others[best])}"
        )


def _spread(split: Split, count: int) -> Split:
    """At most `count` images: every k-th, since splits may be sorted by class."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(np.int64))
    return select(split, chosen)
