"""Epochs as steps, steps as parts: every image once, with its own label."""

import numpy as np
import pytest

from compress.data.dataset import UNLABELLED, ArrayImages, Split
from compress.settings import Augmenting
from compress.training.batches import BatchPlan, read_batch
from compress.training.views import ViewPlan


def _split(count: int) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    return Split(ArrayImages(pixels), np.arange(count) % 3)


def _plan(split: Split, batch_size: int = 4, seed: int = 0, parts: int = 1, **how) -> BatchPlan:
    views = ViewPlan(split=split, source="tiny", size=(8, 8), augmenting=Augmenting(**how), seed=0)
    return BatchPlan(views=views, batch_size=batch_size, order_seed=seed, parts=parts)


def _epoch(plan: BatchPlan, epoch: int) -> list:
    return [
        read_batch(plan, epoch, step, part)
        for step in range(plan.steps())
        for part in range(plan.parts)
    ]


@pytest.mark.parametrize("how", [{}, {"mixup": 0.4, "cutmix": 1.0, "erasing": 0.5}])
def test_a_view_is_the_same_whatever_the_batch_size_and_the_parts(how):
    split = _split(23)
    views = []
    for batch_size, parts in ((23, 1), (4, 1), (8, 2), (6, 4)):
        seen = np.empty((23, 8, 8, 1), np.uint8)
        for batch in _epoch(_plan(split, batch_size, parts=parts, **how), epoch=2):
            seen[batch.views.indices] = batch.views.pixels
        views.append(seen)
    assert all(np.array_equal(views[0], other) for other in views[1:])


def test_views_come_again_in_turn_and_do_not_depend_on_the_order_seed():
    split = _split(12)
    seen = {}
    for epoch in range(4):
        for batch in _epoch(_plan(split, seed=epoch, views=2), epoch):
            for index, image in zip(batch.views.indices, batch.views.pixels, strict=True):
                seen.setdefault((epoch % 2, int(index)), []).append(image)
    assert all(np.array_equal(first, second) for first, second in seen.values())
    assert any(not np.array_equal(seen[0, k][0], seen[1, k][0]) for k in range(12))


@pytest.mark.parametrize("parts", [1, 3])
def test_no_image_is_left_out_and_no_step_is_small(parts):
    batches = _epoch(_plan(_split(41), batch_size=10, parts=parts), epoch=0)
    assert sorted(np.concatenate([b.views.indices for b in batches])) == list(range(41))
    assert {b.images_in_step for b in batches} <= {8, 9}
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


def test_labels_stay_with_their_images_and_partners():
    split = _split(20)
    for batch in _epoch(_plan(split, mixup=1.0), epoch=1):
        assert np.array_equal(batch.labels, split.labels[batch.views.indices])
        assert np.array_equal(batch.partner_labels, split.labels[batch.views.partners])


def test_the_parts_of_a_step_hold_the_labels_that_the_step_is_said_to_have():
    split = _split(30)
    split.labels[::4] = UNLABELLED
    plan = _plan(split, batch_size=10, parts=3, mixup=0.4, cutmix=1.0)
    for step in range(plan.steps()):
        parts = [read_batch(plan, 2, step, part) for part in range(3)]
        found = sum(int((sum(part.label_weights()) > 0).sum()) for part in parts)
        assert {part.labels_in_step for part in parts} == {parts[0].labels_in_step}
        assert parts[0].labels_in_step == found


def test_an_error_while_a_batch_is_made_reaches_the_caller():
    class Broken:
        def __len__(self):
            return 3

        def batch(self, indices, size):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        read_batch(_plan(Split(Broken(), np.zeros(3, np.int64))), 0, 0)
