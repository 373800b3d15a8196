"""The objective of distillation: the teacher's answers beside the labels."""

import torch

from compress.distill.answers import Answers
from compress.distill.methods import LogitLoss
from compress.settings import Teaching
from compress.training.batches import Batch
from compress.training.loop import Objective, Terms
from compress.training.objective import cross_entropy


def distillation_objective(
    answers: Answers, loss: LogitLoss, teaching: Teaching, label_smoothing: float
) -> Objective:
    """ce_weight CE(labels, student) + kd_weight loss(student, teacher), both means over a batch.

    Teacher and student see the same augmented view, each through its own preprocessing.
    """

    def objective(batch: Batch, student_logits: torch.Tensor) -> Terms:
        teacher_logits = answers.logits(batch)  # [B, C]
        soft = loss(student_logits, teacher_logits, teaching.temperature)
        terms = {"kd": teaching.kd_weight * soft}
        if teaching.ce_weight:
            hard = cross_entropy(student_logits, batch, label_smoothing)
            terms["ce"] = teaching.ce_weight * hard
        return terms

    return objective
