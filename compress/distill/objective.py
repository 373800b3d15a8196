"""The objective of distillation: what the teacher says of a batch, beside its labels."""

from collections.abc import Sequence

import torch

from compress.distill.course import Course
from compress.distill.signals import Signals
from compress.distill.teachers.protocol import Answers, Ask
from compress.training.batches import Batch
from compress.training.job import Objective, Outputs, Terms
from compress.training.objective import cross_entropy


def distillation_objective(
    ask: Ask, course: Course, owners: Sequence[int], *, epochs: int, label_smoothing: float
) -> Objective:
    """ce_weight CE(labels, student) + sum of weight_i loss_i(student, teacher), means over a step.

    Teacher and student see the same augmented and mixed view, each through its own preprocessing.

    Args:
        ask: the teacher.
        course: the losses and their weights.
        owners: which loss of the course each feature is for, in the order of the features.
        epochs: of the whole training, in which weights that warm up reach their height.
        label_smoothing: of the cross-entropy.
    """

    def objective(batch: Batch, outputs: Outputs) -> Terms:
        answers = ask(batch.views)
        share = len(batch) / batch.images_in_step  # of the step, where this is a part of it
        terms = {}
        for number, one in enumerate(course.chosen):
            own = [place for place, owner in enumerate(owners) if owner == number]
            found = one.method.loss(_signals(batch, outputs, answers, own), one.settings)
            terms[one.method.name] = one.weight_at(batch.epoch / epochs) * share * found
        if course.ce_weight:
            terms["ce"] = course.ce_weight * cross_entropy(outputs.logits, batch, label_smoothing)
        return terms

    return objective


def _signals(batch: Batch, outputs: Outputs, answers: Answers, places: Sequence[int]) -> Signals:
    """All that a loss may look at, where the student is; of the features, its own ones."""
    device = outputs.logits.device
    return Signals(
        student_logits=outputs.logits,
        teacher_logits=answers.logits.to(device),
        labels=torch.from_numpy(batch.main_labels()).to(device),
        indices=torch.from_numpy(batch.views.indices).to(device),
        student_features=tuple(outputs.features[place] for place in places),
        teacher_features=tuple(answers.features[place].to(device) for place in places),
    )
