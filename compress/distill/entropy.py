"""How unsure a teacher is: what it has to say beyond the label."""

from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.distill.teachers.protocol import Teacher
from compress.progress import Progress
from compress.training.views import ViewPlan, read_views

_IMAGES = 1024  # a share is known to a few hundredths of a nat from these
_AT_ONCE = 128


def answer_entropy(logits: NDArray[np.float32] | torch.Tensor, temperature: float = 1.0) -> float:
    """Mean entropy of softmax(logits / T), in nats.

    Args:
        logits: float [B, C], B > 0.
        temperature: T.

    Returns:
        From 0 (always sure) to log C (never any idea).
    """
    softened = torch.as_tensor(logits).double() / temperature
    logs = softened.log_softmax(dim=1)
    entropy = float(-(logs.exp() * logs).sum(dim=1).mean())
    return min(max(entropy, 0.0), log(logs.shape[1]))  # rounding may leave the range


def entropy_of(
    teacher: Teacher, plan: ViewPlan, temperature: float, progress: Progress
) -> dict[str, Any]:
    """A teacher's mean entropy over the first view of some of the images that it teaches on.

    Returns:
        For the manifest: images, temperature, nats, and the most that there can be.
    """
    spread = np.linspace(0, len(plan.split) - 1, min(_IMAGES, len(plan.split)))
    indices = np.unique(spread.astype(np.int64))
    total = 0.0
    with progress.task(f"asking {teacher.name}", total=len(indices)) as advance:
        for part in np.array_split(indices, -(-len(indices) // _AT_ONCE)):
            logits = teacher.logits(read_views(plan, 0, part))
            total += answer_entropy(logits, temperature) * len(part)
            advance(len(part))
    return {
        "images": len(indices),
        "temperature": temperature,
        "nats": total / len(indices),
        "most": log(len(teacher.classes)),
    }


def entropy_sentence(name: str, found: dict[str, Any]) -> str:
    """What `entropy_of` found, for people."""
    return (
        f"teacher {name}: entropy {found['nats']:.2f} of at most {found['most']:.2f} nats at "
        f"temperature {found['temperature']:g}, mean over {found['images']:,} images that teach"
    )
