"""Soft targets: the student learns the teacher's whole distribution, softened by a temperature.

Source: Hinton, Vinyals & Dean, Distilling the knowledge in a neural network, arXiv 1503.02531.
"""

import torch
from torch.nn import functional as F


def loss(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over the batch.

    The gradient of the KL shrinks as 1/T^2; the factor T^2 keeps its size, so that the weights of
    soft and hard terms mean the same at every T. As T grows the loss tends to half the mean over
    classes of the squared difference of the centred logits.

    Args:
        student_logits: float32 [B, C].
        teacher_logits: float32 [B, C], not probabilities.
        temperature: T, above 0.

    Returns:
        A scalar in nats, float32. Reduction: sum over classes, mean over the batch.
    """
    student_log = F.log_softmax(student_logits.float() / temperature, dim=1)
    teacher_log = F.log_softmax(teacher_logits.float() / temperature, dim=1)
    # "batchmean", not "mean": that would divide by B * C and weaken the term C times.
    divergence = F.kl_div(student_log, teacher_log, log_target=True, reduction="batchmean")
    return temperature**2 * divergence
