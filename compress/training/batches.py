"""One epoch as batches of uint8 views, made one step ahead of the network."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import Split
from compress.training.augment import augment, draws, order

UNLABELLED = -1


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """How a split becomes batches.

    Attributes:
        split: the images.
        size: height and width of the views.
        batch_size: largest batch.
        augment: one of augment.KINDS.
        views: number of views used in turn; 0 makes a new one every epoch.
        order_seed: of the order of images.
        view_seed: of the augmentation; runs with one view seed see the same views.
    """

    split: Split
    size: tuple[int, int]
    batch_size: int
    augment: str
    views: int
    order_seed: int
    view_seed: int

    def steps(self) -> int:
        """Batches an epoch."""
        return -(-len(self.split) // self.batch_size)

    def view_of(self, epoch: int) -> int:
        """The number of the view that `epoch` shows."""
        return epoch % self.views if self.views else epoch


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        images: uint8 [B, H, W, C], augmented, before any network's preprocessing.
        labels: int64 [B]; UNLABELLED where the label is not to be used.
        indices: int64 [B], positions in the training split.
        view: the augmentation's number; with `indices` and `plan` it names the images exactly.
        plan: how the batch was made.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    view: int
    plan: BatchPlan


def read_views(
    plan: BatchPlan, indices: NDArray[np.int64], numbers: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The images `indices`, augmented by `numbers`, the `draws` of a view: uint8 [B, H, W, C]."""
    images = plan.split.images.batch(indices, plan.size)
    return augment(images, numbers[indices], plan.augment)


def epoch_batches(plan: BatchPlan, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch, each prepared while the step before it computes.

    An epoch is cut into equal parts of at most `batch_size`: no image is left out, and no small
    last batch upsets batch statistics.
    """
    indices = order(plan.order_seed, epoch, len(plan.split))
    view = plan.view_of(epoch)
    numbers = draws(plan.view_seed, view, len(plan.split))

    def make(chosen: NDArray[np.int64]) -> Batch:
        images = read_views(plan, chosen, numbers)
        return Batch(images, plan.split.labels[chosen], chosen, view, plan)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:
        parts = iter(np.array_split(indices, plan.steps()))
        ahead = worker.submit(make, next(parts))
        for part in parts:
            ready, ahead = ahead, worker.submit(make, part)
            yield ready.result()
        yield ahead.result()
