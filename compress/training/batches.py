"""An epoch as steps, a step as parts: which images a process computes together."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import UNLABELLED
from compress.training.augment import order
from compress.training.views import ViewPlan, Views, mixture, read_views

__all__ = ["UNLABELLED", "Batch", "BatchPlan", "read_batch"]


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """How views become steps.

    Attributes:
        views: the images and their augmentation.
        batch_size: largest number of images a step, over all processes and parts.
        order_seed: of the order of images; runs with one view seed see the same views.
        parts: a step is cut into this many: processes times accumulated parts.
    """

    views: ViewPlan
    batch_size: int
    order_seed: int
    parts: int = 1

    def steps(self) -> int:
        """Steps an epoch.

        An epoch is cut into equal steps of at most `batch_size`: no image is left out, and no small
        last batch upsets batch statistics.
        """
        return -(-len(self.views.split) // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a network computes at once: a step, or a part of one.

    Attributes:
        views: B images.
        labels: int64 [B]; UNLABELLED where the label is not to be used.
        partner_labels: int64 [B], of the images that were mixed in; None without mixing.
        images_in_step: images of the whole step, of which this may be a part.
        labels_in_step: images of the whole step of which some label is known.
        epoch: passes over the images before this step: 1.5 is the midst of the second.
    """

    views: Views
    labels: NDArray[np.int64]
    partner_labels: NDArray[np.int64] | None
    images_in_step: int
    labels_in_step: int
    epoch: float = 0.0

    def __len__(self) -> int:
        return len(self.labels)

    def main_labels(self) -> NDArray[np.int64]:
        """The label of what most of each view shows: int64 [B]."""
        if self.views.shares is None or self.partner_labels is None:
            return self.labels
        return np.where(self.views.shares >= 0.5, self.labels, self.partner_labels)

    def label_weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How much each own label and each partner's label counts: float32 [B] and [B].

        The shares of the mixture, and 0 for a label that is not known.
        """
        return _label_weights(self.views.shares, self.labels, self.partner_labels)


def read_batch(plan: BatchPlan, epoch: int, step: int, part: int = 0) -> Batch:
    """Part `part` of step `step` of `epoch`, all from 0: a pure function, read in any order."""
    whole = _steps(plan.order_seed, epoch, len(plan.views.split), plan.steps())[step]
    number = plan.views.augmenting.view_of(epoch)
    views = read_views(plan.views, number, np.array_split(whole, plan.parts)[part])
    labels = plan.views.split.labels
    return Batch(
        views=views,
        labels=labels[views.indices],
        partner_labels=None if views.partners is None else labels[views.partners],
        images_in_step=len(whole),
        labels_in_step=_labels_in_step(plan, number, whole),
        epoch=epoch + step / plan.steps(),
    )


@lru_cache(maxsize=2)  # an epoch's order is made once, not for each of its steps
def _steps(seed: int, epoch: int, count: int, steps: int) -> list[NDArray[np.int64]]:
    """The images of each step of an epoch."""
    return np.array_split(order(seed, epoch, count), steps)


def _labels_in_step(plan: BatchPlan, number: int, indices: NDArray[np.int64]) -> int:
    """How many images of a step have a label, their own or their partner's.

    Not the sum of shares: a step whose only label is faintly mixed in must not count it in full.
    """
    labels = plan.views.split.labels
    known = labels[indices] != UNLABELLED
    _, partners = mixture(plan.views, number, indices)
    if partners is not None:
        known |= labels[partners] != UNLABELLED
    return int(known.sum())


def _label_weights(
    shares: NDArray[np.float32] | None,
    labels: NDArray[np.int64],
    partner_labels: NDArray[np.int64] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    own = np.asarray(labels != UNLABELLED, dtype=np.float32)
    if shares is None or partner_labels is None:
        return own, np.zeros_like(own)
    return shares * own, (1 - shares) * (partner_labels != UNLABELLED)
