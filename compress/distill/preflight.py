"""What a distillation would be, before it begins: the training's preflight, and the teacher's."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.data.dataset import Dataset, Split
from compress.distill.entropy import answer_entropy
from compress.distill.teachers.protocol import Answers, Teacher, asking
from compress.intervals import wilson
from compress.preprocess import Preprocessing
from compress.stage import plain
from compress.training.batches import read_batch
from compress.training.evaluate import are_probabilities
from compress.training.guard import beats_chance, labelled
from compress.training.job import Job
from compress.training.preflight import preflight as preflight_training
from compress.training.views import ViewPlan, Views

_VALIDATION_IMAGES = 1000  # enough for an interval of 6 points; the stage itself asks for all
_ENTROPY_STEPS = 4


class TimedTeacher:
    """A teacher that counts what its answers cost.

    Attributes:
        teacher: who answers.
        seconds: that its answers have taken so far.
        images: answered so far.
    """

    def __init__(self, teacher: Teacher) -> None:
        """Ask `teacher`."""
        self.teacher = teacher
        self.seconds = 0.0
        self.images = 0

    @property
    def name(self) -> str:
        """See `Teacher.name`."""
        return self.teacher.name

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Teacher.classes`."""
        return self.teacher.classes

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """See `Teacher.inputs`."""
        return self.teacher.inputs

    def identity(self) -> dict[str, Any]:
        """See `Teacher.identity`."""
        return self.teacher.identity()

    def record(self) -> dict[str, Any]:
        """See `Teacher.record`."""
        return self.teacher.record()

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "TimedTeacher":
        """See `Teacher.bind`; counting begins anew."""
        return TimedTeacher(self.teacher.bind(plan, temperature, numbers))

    def logits(self, views: Views) -> torch.Tensor:
        """See `Teacher.logits`."""
        return self.answers(views).logits

    def answers(self, views: Views) -> Answers:
        """Its logits, and its features where losses look at them."""
        started = time.perf_counter()
        found = asking(self.teacher)(views)
        if found.logits.is_cuda:
            torch.cuda.synchronize(found.logits.device)
        self.seconds += time.perf_counter() - started
        self.images += len(views)
        return found


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """How a teacher is to be used.

    Attributes:
        teacher: bound to the views of the job; the job's objective asks this very one.
        temperature: at which its logits are softened.
        passes: over the images that teach, in the whole command: views where its answers are
            kept, epochs times runs where it answers live, 0 where they were kept before.
        kept_bytes: on disk, of answers that are to be kept; None where none are.
    """

    teacher: TimedTeacher
    temperature: float
    passes: int
    kept_bytes: int | None = None


def preflight(job: Job, dataset: Dataset, lessons: Lessons, *, networks: int = 1) -> dict[str, Any]:
    """What `compress.training.preflight.preflight` finds, and "teacher" and "disk" beside it.

    Args:
        job: the student's training.
        dataset: the images.
        lessons: how the teacher is used.
        networks: students that the command trains: runs, twice as many with a baseline.

    Raises:
        ModelError: the teacher's answers are not what they are said to be.
        TrainingError: the loss is not finite at the start.
    """
    found, warnings = _look_at_teacher(job, dataset, lessons)
    teacher = lessons.teacher
    seconds, images = teacher.seconds, teacher.images  # of its first, slower answers
    result = preflight_training(job, dataset, networks=networks, elsewhere=lambda: teacher.seconds)
    each = (teacher.seconds - seconds) / (teacher.images - images)
    taught = lessons.passes * len(job.plan.views.split) * each
    found |= {"seconds_per_image": each, "passes": lessons.passes}
    result["time"]["teacher_seconds"] = taught
    result["time"]["total_seconds"] += taught
    result["warnings"] = warnings + result["warnings"]
    return result | {"teacher": found, "disk": {"kept_logits_bytes": lessons.kept_bytes}}


def _look_at_teacher(
    job: Job, dataset: Dataset, lessons: Lessons
) -> tuple[dict[str, Any], list[str]]:
    """What the teacher is and says, and what is wrong with it, in sentences."""
    teacher = lessons.teacher
    size = job.evaluation_size
    # Answers that were kept are about views of the images that teach, and about no others.
    validation = _score(teacher, dataset.validation, size) if teacher.inputs else None
    logits = _first_answers(job, teacher)
    found = {
        "name": teacher.name,
        "classes": list(teacher.classes),
        "class_map": teacher.identity().get("class_map"),
        "inputs": [plain(spec.to_dict()) for spec in teacher.inputs],
        "validation": validation,
        "is_softmax": are_probabilities(logits),
        "entropy": {
            "images": len(logits),
            "nats": answer_entropy(logits),
            "temperature": lessons.temperature,
            "nats_at_temperature": answer_entropy(logits, lessons.temperature),
            "largest": math.log(logits.shape[1]),
        },
    }
    return found, _complaints(teacher, found)


def _complaints(teacher: TimedTeacher, found: Mapping[str, Any]) -> list[str]:
    sentences = []
    validation = found["validation"]
    if validation and not validation["beats_chance"]:
        sentences.append(
            f"teacher {teacher.name}: {100 * validation['accuracy']:.1f} % right on validation, "
            "which is no more than naming one class gives; look at its normalisation "
            "(--teacher-mean, --teacher-scale), its weights and the order of its classes"
        )
    if found["is_softmax"]:
        sentences.append(
            f"teacher {teacher.name}: its answers are probabilities (rows sum to 1), of which the "
            "losses would take the softmax once more; give --teacher-output probabilities"
        )
    return sentences


def _score(teacher: TimedTeacher, split: Split, size: tuple[int, int]) -> dict[str, Any] | None:
    """How often the teacher is right on plain images; None where none has a label."""
    known = np.flatnonzero(split.labels >= 0)
    if not len(known):
        return None
    chosen = known[np.linspace(0, len(known) - 1, min(len(known), _VALIDATION_IMAGES)).astype(int)]
    right = sum(_right(teacher, split, part, size) for part in _batches(chosen))
    interval = wilson(right, len(chosen))
    return {
        "accuracy": interval.value,
        "n": len(chosen),
        "interval": interval.to_dict(),
        "beats_chance": beats_chance(right, labelled(split.labels[chosen])),
    }


def _batches(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(indices, -(-len(indices) // 100))


def _right(
    teacher: TimedTeacher, split: Split, indices: NDArray[np.int64], size: tuple[int, int]
) -> int:
    views = Views(pixels=split.images.batch(indices, size), number=0, indices=indices)
    answers = teacher.logits(views).argmax(dim=1).cpu().numpy()
    return int((answers == split.labels[indices]).sum())


def _first_answers(job: Job, teacher: TimedTeacher) -> torch.Tensor:
    """The teacher's logits for the first steps of training, float64 [N, C]."""
    steps = range(min(_ENTROPY_STEPS, job.plan.steps()))
    parts = range(job.plan.parts)
    answers = [teacher.logits(read_batch(job.plan, 0, k, p).views) for k in steps for p in parts]
    return torch.cat(answers).double().cpu()
