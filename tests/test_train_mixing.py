"""Mixup and cutmix: partners, shares and pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from compress.errors import UsageError
from compress.settings import Augmenting
from compress.training.draws import Draws
from compress.training.mixing import Mixture, draw_mixture, mix


def _mixture(
    count: int, mixup: float = 0.0, cutmix: float = 0.0, size=(16, 16), images: int = 1000
) -> Mixture:
    return draw_mixture(Draws(0, 0, np.arange(count)), images, size, mixup, cutmix)


def _pair(count: int, size=(16, 16), channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (2, count, *size, channels)
    first, second = rng.integers(0, 256, shape, dtype=np.uint8)
    return first, second


def _blend(share: float) -> Mixture:
    return Mixture(
        partners=np.array([0]),
        shares=np.array([share], np.float32),
        pasted=np.array([False]),
        boxes=np.zeros((1, 4), np.int64),
    )


def test_partners_are_uniform_over_the_split():
    partners = _mixture(50_000, mixup=1.0, images=20).partners
    counts = np.bincount(partners, minlength=20)
    assert len(counts) == 20
    assert np.abs(counts / 50_000 - 0.05).max() < 0.005


def test_a_split_of_more_images_than_a_float32_can_name_has_odd_partners_too():
    partners = _mixture(4000, mixup=1.0, images=2**31 + 5).partners
    assert partners.max() > 2**30
    assert partners.max() < 2**31 + 5
    assert abs((partners % 2).mean() - 0.5) < 0.05


def test_an_image_may_be_its_own_partner_and_then_stays_as_it_is():
    mixture = _mixture(8, mixup=1.0, images=1)
    assert (mixture.partners == 0).all()
    images, _ = _pair(8)
    assert np.array_equal(mix(images, images, mixture), images)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixups_share_is_of_the_papers_beta(alpha):
    shares = _mixture(20_000, mixup=alpha).shares.astype(np.float64)
    assert abs(shares.mean() - 0.5) < 0.015
    assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.005
    steps = shares * 256
    assert np.array_equal(steps, np.rint(steps))
    # between the steps of 1/256 the distribution is anyone's: spread it, then compare
    spread = shares + (np.random.default_rng(0).random(len(shares)) - 0.5) / 256
    inside = np.abs(shares - 0.5) < 0.45
    cut = beta(alpha, alpha).cdf([0.05, 0.95])
    expected = (beta(alpha, alpha).cdf(spread[inside]) - cut[0]) / (cut[1] - cut[0])
    assert kstest(np.clip(expected, 0, 1), "uniform").pvalue > 0.001


@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_shares_lie_between_0_and_1_for_any_alpha(alpha, view):
    draws = Draws(0, view, np.arange(20))
    for mixup, cutmix in ((alpha, 0.0), (0.0, alpha), (alpha, alpha)):
        shares = draw_mixture(draws, 100, (7, 9), mixup, cutmix).shares
        assert shares.dtype == np.float32
        assert ((shares >= 0) & (shares <= 1)).all()


def test_a_blend_is_the_weighted_mean_rounded():
    own = np.array([[[[100, 0, 255]]]], np.uint8)
    other = np.array([[[[50, 255, 254]]]], np.uint8)
    # 0.75 * 100 + 0.25 * 50 = 87.5, halves go up; 0.25 * 255 = 63.75; 254.75
    assert mix(own, other, _blend(0.75)).ravel().tolist() == [88, 64, 255]


@settings(deadline=None)
@given(st.integers(0, 256))
def test_every_blend_of_every_two_levels_is_the_exact_value_rounded(steps):
    own, other = (grid.astype(np.uint8)[None, ..., None] for grid in np.mgrid[:256, :256])
    exact = (steps / 256) * own.astype(np.float64) + (1 - steps / 256) * other
    expected = np.floor(exact + 0.5)
    assert np.array_equal(mix(own, other, _blend(steps / 256)), expected)


@pytest.mark.parametrize(("size", "channels"), [((16, 16), 3), ((7, 30), 1), ((1, 1), 1)])
def test_cutmix_pastes_one_box_and_its_share_counts_the_pixels(size, channels):
    count = 300
    mixture = _mixture(count, cutmix=1.0, size=size)
    images = np.zeros((count, *size, channels), np.uint8)
    out = mix(images, images + 1, mixture)
    own = (out == 0).all(axis=3).mean(axis=(1, 2))
    assert mixture.shares == pytest.approx(own, abs=1e-7)
    for image, (top, bottom, left, right) in zip(out, mixture.boxes, strict=True):
        assert (image[top:bottom, left:right] == 1).all()


def test_cutmix_draws_the_papers_box():
    mixture = _mixture(20_000, cutmix=1.0, size=(100, 100))
    heights = mixture.boxes[:, 1] - mixture.boxes[:, 0]
    widths = mixture.boxes[:, 3] - mixture.boxes[:, 2]
    # within the image: as high as wide, and an even number of pixels
    inside = ((mixture.boxes > 0) & (mixture.boxes < 100)).all(axis=1)
    assert np.array_equal(heights[inside], widths[inside])
    assert (heights[inside] % 2 == 0).all()
    # a side of length s = sqrt(u) about a uniform centre keeps E[s - s^2 / 4] = 2/3 - 1/8 of the
    # image, so the box without clipping 1/2 of the area, and with it less
    assert abs(heights.mean() / 100 - (2 / 3 - 1 / 8)) < 0.015
    assert 0.6 < mixture.shares.mean() < 0.72
    middles = mixture.boxes[inside].reshape(-1, 2, 2).mean(axis=2)
    assert np.abs(middles.mean(axis=0) - 50).max() < 2


def test_with_both_a_fair_coin_decides_and_each_does_what_it_does_alone():
    both = _mixture(4000, mixup=0.4, cutmix=1.0)
    blends, pastes = _mixture(4000, mixup=0.4), _mixture(4000, cutmix=1.0)
    assert abs(both.pasted.mean() - 0.5) < 0.03
    assert not blends.pasted.any()
    assert pastes.pasted.all()
    assert np.array_equal(both.shares, np.where(both.pasted, pastes.shares, blends.shares))
    images, others = _pair(4000, size=(4, 4))
    mixture = {"size": (4, 4)}
    both = _mixture(4000, mixup=0.4, cutmix=1.0, **mixture)
    alone = np.where(
        both.pasted[:, None, None, None],
        mix(images, others, _mixture(4000, cutmix=1.0, **mixture)),
        mix(images, others, _mixture(4000, mixup=0.4, **mixture)),
    )
    assert np.array_equal(mix(images, others, both), alone)


def test_partners_do_not_depend_on_the_way_of_mixing():
    base = _mixture(100, mixup=1.0).partners
    assert np.array_equal(_mixture(100, mixup=0.2).partners, base)
    assert np.array_equal(_mixture(100, cutmix=1.0).partners, base)


def test_mixing_leaves_its_inputs_alone_and_takes_no_images():
    images, others = _pair(6)
    before = images.copy(), others.copy()
    mix(images, others, _mixture(6, mixup=1.0, cutmix=1.0))
    assert np.array_equal(images, before[0])
    assert np.array_equal(others, before[1])
    assert len(mix(images[:0], others[:0], _mixture(0, mixup=1.0, cutmix=1.0))) == 0


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("value", [-0.1, 1001.0, float("nan"), float("inf")])
def test_an_alpha_that_no_beta_has_is_refused(name, value):
    with pytest.raises(UsageError, match=f"--{name}: expected 0 to 1000, found"):
        Augmenting(**{name: value}).check()
