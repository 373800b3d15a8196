"""RandAugment beside torchvision's, and what is ours: who chooses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import RandAugment

from compress.training.draws import Draws, Purpose, below
from compress.training.randaugment import operations, randaugment


def _image(height: int, width: int, channels: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(20, 200, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def _ours(image: Image.Image, magnitude: float) -> np.ndarray:
    table = operations(magnitude, (image.height, image.width))
    return np.stack([np.asarray(change(image)) for both in table for change in both])


def _apart(images: np.ndarray, others: np.ndarray) -> int:
    """The largest difference in grey levels of an image to the most similar of the others."""
    differences = np.abs(images[:, None].astype(int) - others[None])
    return int(differences.reshape(len(images), len(others), -1).max(axis=2).min(axis=1).max())


@pytest.mark.parametrize("magnitude", [1, 9, 14, 30])
@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 3), (24, 33, 1)])
def test_torchvision_gives_the_same_images_at_every_magnitude(height, width, channels, magnitude):
    image = _image(height, width, channels)
    theirs = RandAugment(num_ops=1, magnitude=magnitude)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # the rarest of 28 outcomes is missed by 500 draws once in a million times
        answers = {theirs(image).tobytes() for _ in range(500)}
    found = np.stack([np.frombuffer(answer, np.uint8) for answer in answers])
    ours = np.unique(_ours(image, magnitude).reshape(28, -1), axis=0)
    assert len(ours) == len(found)
    # its magnitudes are float32, which moves a pixel here and there by one level
    assert _apart(ours, found) <= 1
    assert _apart(found, ours) <= 1


@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 160)])
def test_magnitudes_are_torchvisions_at_all_31_bins(height, width):
    space = RandAugment()._augmentation_space(31, (height, width))
    for magnitude in range(31):
        table = dict(zip(space, operations(magnitude, (height, width)), strict=True))
        for name, (values, signed) in space.items():
            plus, minus = table[name]
            assert (plus is not minus) == signed
            if not values.ndim:
                continue
            expected = float(values[magnitude])
            if signed:
                found = plus.args[0]
                assert minus.args[0] == -found
            else:
                (found,) = plus.keywords.values()
            if name.startswith("Translate"):
                expected = int(expected)
            if name == "Solarize":  # grey levels are whole: i < 178.5 is i < 179
                expected = int(np.ceil(expected))
            assert found == pytest.approx(expected, abs=1e-6), (name, magnitude)


def test_a_magnitude_next_to_zero_leaves_all_but_the_ranges_alone():
    image = _image(20, 20, 3)
    table = operations(1e-9, (20, 20))
    # autocontrast and equalize have no magnitude; of 255, which solarize inverts, there is none
    for both in table[:-2]:
        for change in both:
            assert change(image).tobytes() == image.tobytes()


def test_our_numbers_choose_operations_and_signs():
    images = np.random.default_rng(2).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    draws = Draws(0, 0, np.arange(40))
    words = draws.words(Purpose.RANDAUGMENT, 4)
    table = operations(11, (16, 16))
    out = randaugment(images, 11, draws)
    for image, changed, row in zip(images, out, words, strict=True):
        expected = Image.fromarray(image)
        for operation, sign in (row[:2], row[2:]):
            expected = table[below(operation, 14)][below(sign, 2)](expected)
        assert np.array_equal(changed, np.asarray(expected))


def test_every_operation_and_sign_is_chosen_alike():
    words = Draws(0, 0, np.arange(20_000)).words(Purpose.RANDAUGMENT, 4)
    both = 2 * below(words[:, 0::2], 14) + below(words[:, 1::2], 2)
    shares = np.bincount(both.ravel(), minlength=28) / both.size
    assert np.abs(shares - 1 / 28).max() < 0.005


@pytest.mark.parametrize("shape", [(30, 16, 16, 1), (30, 1, 1, 3), (30, 1, 1, 1), (0, 8, 8, 3)])
def test_grey_single_and_no_pixels_pass(shape):
    images = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    out = randaugment(images, 30, Draws(0, 0, np.arange(shape[0])))
    assert out.shape == shape
    assert out.dtype == np.uint8
    assert np.array_equal(images, before)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 3))
def test_an_image_changes_alike_in_any_company(indices, view):
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (10_001, 3, 4, 3), dtype=np.uint8)
    together = randaugment(pixels[indices], 9, Draws(5, view, np.array(indices)))
    for position, index in enumerate(indices):
        alone = randaugment(pixels[[index]], 9, Draws(5, view, np.array([index])))
        assert np.array_equal(together[position], alone[0])
