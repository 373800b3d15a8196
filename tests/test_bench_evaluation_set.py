"""Which test images are measured: all that 64 MB hold, class-balanced, at a size that fits."""

from dataclasses import replace

import numpy as np
import pytest

import tiny
from compress.data.dataset import ArrayImages, Dataset, Split
from compress.preprocess import Preprocessing
from compress_bench.subjects.evaluation_set import (
    balanced_indices,
    batches,
    choose_test_images,
    read_pixels,
    reading_size,
)

SMALL, LARGE = Preprocessing((32, 32), 3), Preprocessing((224, 224), 3, crop_fraction=0.875)


def described(count: int, size: tuple[int, int] | None, channels: int = 3) -> Dataset:
    """A data set with so many test images, of which nobody reads the pixels."""
    test = Split(ArrayImages(np.zeros((0, 1, 1, 1), np.uint8)), np.arange(count) % 4)
    return replace(tiny.dataset(), image_size=size, channels=channels, test=test)


def test_chosen_images_are_class_balanced_and_seeded():
    labels = np.array([0] * 50 + [1] * 7 + [2] * 3)
    chosen = balanced_indices(labels, 12, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 4, 3]  # class 2 has no more
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, balanced_indices(labels, 12, seed=0))
    assert (chosen != balanced_indices(labels, 12, seed=1)).any()


def test_all_images_are_chosen_where_they_fit():
    labels = np.array([0, 1, 1, 1])
    assert balanced_indices(labels, 10, seed=0).tolist() == [0, 1, 2, 3]


def test_images_of_mixed_sizes_are_read_large_enough_for_the_largest_crop():
    assert reading_size(described(10, None), [SMALL, LARGE]) == (256, 256)


def test_images_that_are_all_alike_and_fit_keep_their_size():
    # 64e6 bytes hold 21 images of 1000 x 1000 x 3.
    assert reading_size(described(21, (1000, 1000)), [SMALL, LARGE]) == (1000, 1000)


def test_images_that_do_not_all_fit_are_resized_to_the_largest_input():
    photos = described(22, (1000, 1000))
    size = reading_size(photos, [SMALL, LARGE])
    assert size == (256, 256)
    assert len(choose_test_images(photos, size, seed=0)) == 22  # and now all of them fit


def test_images_are_never_enlarged_to_fit():
    assert reading_size(described(10**6, (28, 28)), [SMALL, LARGE]) == (28, 28)


@pytest.mark.parametrize(("channels", "kept"), [(1, 976), (3, 325)])
def test_the_cap_counts_the_channels(channels, kept):
    many = described(4000, None, channels)
    chosen = choose_test_images(many, (256, 256), seed=0)
    assert len(chosen) == kept == 64_000_000 // (256 * 256 * channels)
    counts = np.bincount(many.test.labels[chosen])
    assert counts.max() - counts.min() <= 1


def test_one_image_is_kept_however_large():
    assert len(choose_test_images(described(3, (9000, 9000)), (9000, 9000), seed=0)) == 1


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([(16, 16)], [64, 36]),
        ([(16, 16), (224, 224)], [20] * 5),  # 2^20 pixels hold 20 at 224 px
        ([(3000, 4000), (32, 32)], [1] * 100),  # what is read counts as well as what is computed
    ],
)
def test_batches_fit_the_larger_of_what_is_read_and_computed(sizes, lengths):
    parts = list(batches(np.arange(100), *sizes))
    assert [len(part) for part in parts] == lengths
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(100))


def test_pixels_are_read_in_batches_and_in_order():
    asked = []

    class Watched(ArrayImages):
        def batch(self, indices, size):
            asked.append(len(indices))
            return super().batch(indices, size)

    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    found = read_pixels(Split(Watched(pixels), np.zeros(6, np.int64)), np.arange(6), (512, 1024))
    assert asked == [2, 2, 2]
    assert found[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
