"""The objective of distillation: the teacher's answers beside the labels."""

import torch

from compress.distill.methods import LogitLoss
from compress.distill.teachers.protocol import Teacher
from compress.settings import Teaching
from compress.training.batches import Batch
from compress.training.job import Objective, Terms
from compress.training.objective import cross_entropy


def distillation_objective(
    teacher: Teacher, loss: LogitLoss, teaching: Teaching, label_smoothing: float
) -> Objective:
    """ce_weight CE(labels, student) + kd_weight loss(student, teacher), both means over a step.

    Teacher and student see the same augmented and mixed view, each through its own preprocessing.
    """
    teaching = teaching.resolved()

    def objective(batch: Batch, student_logits: torch.Tensor) -> Terms:
        teacher_logits = teacher.logits(batch.views).to(student_logits.device)  # [B, C]
        soft = loss(student_logits, teacher_logits, teaching.temperature)
        share = len(batch) / batch.images_in_step  # of the step, where this is a part of it
        terms = {"kd": teaching.kd_weight * share * soft}
        if teaching.ce_weight:
            hard = cross_entropy(student_logits, batch, label_smoothing)
            terms["ce"] = teaching.ce_weight * hard
        return terms

    return objective
