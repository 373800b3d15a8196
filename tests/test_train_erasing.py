"""Random erasing: where the noise is, and what it is made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.training.draws import Draws
from compress.training.erasing import erase


def _holes(out: np.ndarray, images: np.ndarray) -> np.ndarray:
    return (out != images).any(axis=3)  # [B, H, W]


def test_what_is_erased_is_one_rectangle_of_noise_in_a_share_of_the_images():
    images = np.zeros((2000, 16, 20, 3), np.uint8)
    out = erase(images, 0.25, Draws(0, 0, np.arange(2000)))
    erased = _holes(out, images)
    share = erased.any(axis=(1, 2)).mean()
    assert abs(share - 0.25) < 0.04
    for hole in erased[erased.any(axis=(1, 2))]:
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        # noise of three channels is all 0 in one of 2^24 pixels
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert len(rows) < 16
        assert len(columns) < 20


def test_rectangles_have_the_papers_area_and_shape():
    images = np.zeros((3000, 64, 64, 3), np.uint8)
    holes = _holes(erase(images, 1.0, Draws(0, 0, np.arange(3000))), images)
    areas = holes.mean(axis=(1, 2))
    heights, widths = holes.any(axis=2).sum(axis=1), holes.any(axis=1).sum(axis=1)
    assert 0.018 < areas.min() < 0.03
    assert 0.32 < areas.max() < 0.34
    assert abs(areas.mean() - 0.175) < 0.01
    shapes = heights / widths
    assert 0.27 < shapes.min() < 0.35
    assert 3.0 < shapes.max() < 3.7


def test_noise_is_uniform_bytes_and_differs_between_images():
    images = np.zeros((600, 32, 32, 3), np.uint8)
    out = erase(images, 1.0, Draws(0, 0, np.arange(600)))
    noise = out[_holes(out, images)].ravel()
    counts = np.histogram(noise, bins=16, range=(0, 256))[0] / noise.size
    assert np.abs(counts - 1 / 16).max() < 0.003
    assert len({image.tobytes() for image in out}) == 600


def test_never_and_always():
    images = np.zeros((100, 12, 12, 1), np.uint8)
    draws = Draws(0, 0, np.arange(100))
    assert np.array_equal(erase(images, 0.0, draws), images)
    assert _holes(erase(images, 1.0, draws), images).any(axis=(1, 2)).mean() > 0.95


def test_a_higher_probability_erases_the_same_and_more():
    images = np.zeros((300, 12, 12, 3), np.uint8)
    draws = Draws(0, 0, np.arange(300))
    seldom, often = erase(images, 0.2, draws), erase(images, 0.6, draws)
    hit = _holes(seldom, images).any(axis=(1, 2))
    assert hit.any()
    assert np.array_equal(seldom[hit], often[hit])


@pytest.mark.parametrize("shape", [(4, 1, 1, 3), (4, 1, 9, 1), (4, 2, 2, 1), (0, 8, 8, 3)])
def test_tiny_images_and_no_images_pass(shape):
    images = np.zeros(shape, np.uint8)
    out = erase(images, 1.0, Draws(0, 0, np.arange(shape[0])))
    assert out.shape == shape


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12), st.integers(0, 5))
def test_an_image_is_erased_alike_in_any_company(indices, view):
    images = np.zeros((len(indices), 9, 11, 3), np.uint8)
    together = erase(images, 0.7, Draws(3, view, np.array(indices)))
    for position, index in enumerate(indices):
        alone = erase(images[:1], 0.7, Draws(3, view, np.array([index])))
        assert np.array_equal(together[position], alone[0])
