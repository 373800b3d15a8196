"""The teacher's answers: asked once for a view that comes again, live for one that does not."""

import numpy as np
import torch
from numpy.typing import NDArray

from compress.distill.teacher import Teacher
from compress.progress import Progress
from compress.training.augment import draws
from compress.training.batches import Batch, BatchPlan, read_views
from compress.training.evaluate import evaluation_batches

_MOST_BYTES = 2**30  # of answers kept in memory; beyond it the teacher answers live


class Answers:
    """A teacher that remembers what it said about the views of one plan.

    A view's answers are computed for all images in one fixed order, not in the order of training,
    so that they are the same numbers in a run that was stopped and goes on.
    """

    def __init__(self, teacher: Teacher, progress: Progress) -> None:
        """Ask `teacher`; show its passes in `progress`."""
        self.teacher = teacher
        self.progress = progress
        self._tables: dict[int, NDArray[np.float32]] = {}

    def logits(self, batch: Batch) -> torch.Tensor:
        """The teacher's logits for a batch: float32 [B, classes]."""
        plan = batch.plan
        classes = len(self.teacher.model.classes)
        if not plan.views or 4 * plan.views * len(plan.split) * classes > _MOST_BYTES:
            return self.teacher.logits(batch.images)
        if batch.view not in self._tables:
            self._tables[batch.view] = self._ask(plan, batch.view)
        rows = torch.from_numpy(self._tables[batch.view][batch.indices])
        return rows.to(self.teacher.device)

    def _ask(self, plan: BatchPlan, view: int) -> NDArray[np.float32]:
        """One pass of the teacher over a view: float32 [N, classes]."""
        numbers = draws(plan.view_seed, view, len(plan.split))
        parts = []
        with self.progress.timed(f"teacher answers view {view + 1} of {plan.views}"):
            for indices in evaluation_batches(len(plan.split), self.teacher.model.preprocessing):
                images = read_views(plan, indices, numbers)
                parts.append(self.teacher.logits(images).cpu().numpy())
        return np.concatenate(parts)
