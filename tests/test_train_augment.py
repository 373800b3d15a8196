"""Augmentation and order: pure functions of (seed, view, index)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.data.dataset import ArrayImages, Split
from compress.training.augment import KINDS, augment, draws, order
from compress.training.batches import BatchPlan, epoch_batches


def _split(count: int) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    return Split(ArrayImages(pixels), np.arange(count) % 3)


def _plan(split: Split, batch_size: int = 4, seed: int = 0, views: int = 0) -> BatchPlan:
    return BatchPlan(
        split=split,
        size=(8, 8),
        batch_size=batch_size,
        augment="crop+flip",
        views=views,
        order_seed=seed,
        view_seed=0,
    )


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 5))
def test_an_images_numbers_do_not_depend_on_how_many_images_there_are(a, b, view):
    few, many = sorted((a, b))
    assert np.array_equal(draws(3, view, few), draws(3, view, many)[:few])


def test_seeds_views_and_purposes_give_different_numbers():
    base = draws(0, 0, 100)
    assert not np.allclose(base, draws(1, 0, 100))
    assert not np.allclose(base, draws(0, 1, 100))


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40))
def test_order_visits_every_image_once(seed, epoch, count):
    assert sorted(order(seed, epoch, count)) == list(range(count))


def test_a_view_is_the_same_whatever_the_batch_size():
    split = _split(23)
    views = []
    for batch_size in (23, 4):
        seen = np.empty((23, 8, 8, 1), np.uint8)
        for batch in epoch_batches(_plan(split, batch_size), epoch=2):
            seen[batch.indices] = batch.images
        views.append(seen)
    assert np.array_equal(*views)


def test_views_come_again_in_turn_and_do_not_depend_on_the_order_seed():
    split = _split(12)
    seen = {}
    for epoch in range(4):
        for batch in epoch_batches(_plan(split, seed=epoch, views=2), epoch):
            for index, image in zip(batch.indices, batch.images, strict=True):
                seen.setdefault((epoch % 2, int(index)), []).append(image)
    assert all(np.array_equal(first, second) for first, second in seen.values())
    assert any(not np.array_equal(seen[0, k][0], seen[1, k][0]) for k in range(12))


def test_no_image_is_left_out_and_no_batch_is_small():
    batches = list(epoch_batches(_plan(_split(41), batch_size=10), epoch=0))
    assert sorted(np.concatenate([b.indices for b in batches])) == list(range(41))
    assert {len(b.labels) for b in batches} <= {8, 9}


def test_labels_stay_with_their_images():
    split = _split(20)
    for batch in epoch_batches(_plan(split), epoch=1):
        assert np.array_equal(batch.labels, split.labels[batch.indices])


def test_a_shift_moves_pixels_and_uncovers_zeros():
    image = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8, 1)
    # padding 1 on each side; numbers near 0 take the window at the top left: one down, one right
    shifted = augment(image, np.array([[0.0, 0.0, 0.9]], np.float32), "crop")
    assert (shifted[0, 0] == 0).all()
    assert (shifted[0, :, 0] == 0).all()
    assert np.array_equal(shifted[0, 1:, 1:], image[0, :-1, :-1])


def test_a_flip_mirrors_left_and_right_only():
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    mirrored = augment(image, np.array([[0.5, 0.5, 0.4]], np.float32), "flip")
    assert np.array_equal(mirrored[0], image[0, :, ::-1])
    kept = augment(image, np.array([[0.5, 0.5, 0.6]], np.float32), "flip")
    assert np.array_equal(kept, image)


def test_none_changes_nothing():
    images = _split(5).images.batch(np.arange(5), (8, 8))
    assert np.array_equal(augment(images, draws(0, 0, 5), "none"), images)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_shape_and_dtype(kind):
    images = np.zeros((3, 9, 7, 3), np.uint8)
    out = augment(images, draws(0, 0, 3), kind)
    assert out.shape == images.shape
    assert out.dtype == np.uint8


def test_an_error_while_a_batch_is_made_reaches_the_caller():
    class Broken:
        def __len__(self):
            return 3

        def batch(self, indices, size):
            raise OSError("gone")

    split = Split(Broken(), np.zeros(3, np.int64))
    with pytest.raises(OSError, match="gone"):
        list(epoch_batches(_plan(split), epoch=0))
