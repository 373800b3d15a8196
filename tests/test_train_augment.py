"""Order and geometry: pure functions of (seed, epoch) and (seed, view, index)."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.preprocess import resize
from compress.settings.augmenting import Kind
from compress.training.augment import order
from compress.training.boxes import BOX_WORDS, BoxRange, draw_boxes
from compress.training.draws import Draws, Purpose, below
from compress.training.geometry import move

KINDS = get_args(Kind)


def _images(count: int, height: int = 8, width: int = 8, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(1, 256, (count, height, width, channels), dtype=np.uint8)


def _draws(count: int, seed: int = 0, view: int = 0) -> Draws:
    return Draws(seed, view, np.arange(count))


def _slots(draws: Draws) -> np.ndarray:
    """The first words: down, right, mirror."""
    return draws.words(Purpose.GEOMETRY, 3)


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40))
def test_order_visits_every_image_once(seed, epoch, count):
    assert sorted(order(seed, epoch, count)) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    assert not np.array_equal(order(0, 0, 50), order(0, 1, 50))
    assert not np.array_equal(order(0, 0, 50), order(1, 0, 50))


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 3), (9, 24, 1), (3, 1, 3)])
def test_a_crop_is_a_slice_of_the_padded_image(height, width, channels):
    images, draws = _images(200, height, width, channels), _draws(200)
    pad_y, pad_x = round(height / 8), round(width / 8)
    out = move(images, "crop", draws)
    seen = set()
    for image, cropped, words in zip(images, out, _slots(draws), strict=True):
        padded = np.pad(image, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)))
        top, left = below(words[0], 2 * pad_y + 1), below(words[1], 2 * pad_x + 1)
        assert np.array_equal(cropped, padded[top : top + height, left : left + width])
        seen.add((int(top), int(left)))
    assert len(seen) == (2 * pad_y + 1) * (2 * pad_x + 1)  # every shift occurs


def test_a_shift_moves_pixels_and_uncovers_zeros():
    images, draws = _images(200), _draws(200)
    out = move(images, "crop", draws)
    shifts = below(_slots(draws)[:, :2], 3)  # padding 1 on each side: 0 is down or right by one
    corner = np.flatnonzero((shifts == 0).all(axis=1))[0]
    assert (out[corner, 0] == 0).all()
    assert (out[corner, :, 0] == 0).all()
    assert np.array_equal(out[corner, 1:, 1:], images[corner, :-1, :-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_flip_mirrors_left_and_right_of_half_the_images(channels):
    images, draws = _images(400, 5, 7, channels), _draws(400)
    mirrored = _slots(draws)[:, 2] < 2**31
    expected = [
        image[:, ::-1] if flip else image for image, flip in zip(images, mirrored, strict=True)
    ]
    assert np.array_equal(move(images, "flip", draws), np.stack(expected))
    assert 160 < mirrored.sum() < 240


def test_crop_and_flip_is_the_flip_of_the_crop():
    images, draws = _images(50, 16, 16, 3), _draws(50)
    crops = move(images, "crop", draws)
    assert np.array_equal(move(images, "crop+flip", draws), move(crops, "flip", draws))
    crops = move(images, "resized-crop", draws)
    assert np.array_equal(move(images, "resized-crop+flip", draws), move(crops, "flip", draws))


def test_none_changes_nothing():
    images = _images(5)
    assert np.array_equal(move(images, "none", _draws(5)), images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 9, 7, 3), (3, 1, 1, 1), (2, 2, 300, 3), (0, 8, 8, 1)])
def test_every_kind_keeps_shape_dtype_and_its_input(kind, shape):
    images = np.full(shape, 7, np.uint8)
    out = move(images, kind, _draws(shape[0]))
    assert out.shape == images.shape
    assert out.dtype == np.uint8
    assert (images == 7).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_several_blocks_of_memory_moves_like_one_alone(kind):
    images = _images(9, 100, 110, 3)  # 33 kB each
    together = move(images, kind, _draws(9))
    alone = [move(images[k : k + 1], kind, Draws(0, 0, np.array([k])))[0] for k in range(9)]
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 3), (12, 20, 1), (33, 21, 3)])
def test_a_resized_crop_is_a_slice_enlarged_by_the_projects_own_resize(height, width, channels):
    images, draws = _images(40, height, width, channels), _draws(40)
    words = draws.words(Purpose.GEOMETRY, 4 + BOX_WORDS)
    ranges = BoxRange(area=(0.35, 1.0), aspect=(3 / 4, 4 / 3))
    boxes = draw_boxes(words[:, 4:], (height, width), (height, width), ranges)
    assert boxes.found.all()
    top = below(words[:, 0], height - boxes.heights + 1)
    left = below(words[:, 1], width - boxes.widths + 1)
    for k, out in enumerate(move(images, "resized-crop", draws)):
        cut = images[k, top[k] : top[k] + boxes.heights[k], left[k] : left[k] + boxes.widths[k]]
        assert np.array_equal(out, resize(cut[None], (height, width))[0])


def test_where_no_crop_fits_the_centre_of_the_nearest_shape_is_taken():
    images = _images(3, 4, 400, 1)  # 100 to 1: no rectangle of 35 % has a shape near a square
    cut = images[:, :, 197:202]  # 4 high, so 5 wide: 4 * 4/3 rounded; (400 - 5) // 2 = 197
    assert np.array_equal(move(images, "resized-crop", _draws(3)), resize(cut, (4, 400)))


def test_boxes_have_the_area_and_the_shape_that_were_asked_for():
    words = _draws(20_000).words(Purpose.GEOMETRY, BOX_WORDS)
    ranges = BoxRange(area=(0.35, 1.0), aspect=(3 / 4, 4 / 3))
    boxes = draw_boxes(words, (1000, 1000), (1000, 1000), ranges)
    areas = boxes.heights * boxes.widths / 1e6
    shapes = np.log(boxes.widths / boxes.heights)
    assert boxes.found.mean() > 0.999
    assert 0.349 < areas.min() < 0.36
    assert areas.max() > 0.98
    assert np.abs(shapes).max() < np.log(4 / 3) + 0.01
    assert abs(shapes.mean()) < 0.01


def test_the_first_box_that_fits_is_taken():
    low, high = 0, 2**32 - 1
    # tries as pairs: area 100 % and 4 times as wide as high, 20 by 5, does not fit into 10 by 10;
    # 4 % as wide as high would, is the second of them, and is taken before the third, 100 %
    words = np.zeros((1, BOX_WORDS), np.uint64)
    words[0, :6] = [high, high, low, 2**31, high, 2**31]
    ranges = BoxRange(area=(0.04, 1.0), aspect=(1 / 4, 4))
    boxes = draw_boxes(words, (10, 10), (10, 10), ranges)
    assert (boxes.heights[0], boxes.widths[0], boxes.found[0]) == (2, 2, True)


def test_a_box_that_never_fits_is_not_found():
    words = np.full((1, BOX_WORDS), 2**32 - 1, np.uint64)
    boxes = draw_boxes(words, (10, 10), (9, 9), BoxRange(area=(0.5, 1.0), aspect=(1.0, 1.0)))
    assert not boxes.found[0]
