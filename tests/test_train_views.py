"""A view is a pure function of (seed, view, index), with everything switched on."""

import json
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.dataset import ArrayImages, Split, select
from compress.settings import Augmenting
from compress.training.views import ViewPlan, mixture, read_views

COUNT = 60
ALL = Augmenting(augment="resized-crop+flip", randaugment=9, erasing=0.5, mixup=0.4, cutmix=1.0)


def _plan(
    augmenting: Augmenting = ALL, size: tuple[int, int] = (10, 12), channels: int = 3, seed: int = 3
) -> ViewPlan:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, 10, 12, channels), dtype=np.uint8)
    split = Split(ArrayImages(pixels), np.arange(COUNT) % 3)
    return ViewPlan(split=split, source="tiny", size=size, augmenting=augmenting, seed=seed)


def _all(plan: ViewPlan, number: int = 0) -> np.ndarray:
    return read_views(plan, number, np.arange(COUNT)).pixels


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=10),
    st.integers(0, 4),
    st.sampled_from([1, 3]),
)
def test_a_view_is_the_same_in_any_company(indices, number, channels):
    plan = _plan(channels=channels)
    together = read_views(plan, number, np.array(indices))
    for position, index in enumerate(indices):
        alone = read_views(plan, number, np.array([index]))
        assert np.array_equal(together.pixels[position], alone.pixels[0])
        assert together.partners[position] == alone.partners[0]
        assert together.shares[position] == alone.shares[0]


def test_an_images_own_part_does_not_depend_on_how_many_images_there_are():
    plan = _plan(replace(ALL, mixup=0, cutmix=0))
    half = replace(plan, split=select(plan.split, np.arange(COUNT // 2)))
    indices = np.arange(COUNT // 2)
    assert np.array_equal(read_views(plan, 1, indices).pixels, read_views(half, 1, indices).pixels)


def test_seeds_and_views_differ():
    base = _all(_plan())
    assert not np.array_equal(base, _all(_plan(seed=4)))
    assert not np.array_equal(base, _all(_plan(), number=1))
    assert np.array_equal(base, _all(_plan()))


def test_a_plan_that_went_through_pickle_shows_the_same_views():
    plan = _plan()
    assert np.array_equal(_all(pickle.loads(pickle.dumps(plan)), 2), _all(plan, 2))


def test_a_partner_is_mixed_in_as_its_own_view_shows_it():
    alone = _all(_plan(replace(ALL, mixup=0, cutmix=0)), 5).astype(np.float64)
    views = read_views(_plan(replace(ALL, cutmix=0)), 5, np.arange(COUNT))
    shares = views.shares.astype(np.float64)[:, None, None, None]
    exact = shares * alone + (1 - shares) * alone[views.partners]
    assert np.array_equal(views.pixels, np.floor(exact + 0.5))


def test_cutmix_shows_each_pixel_of_one_of_the_two():
    alone = _all(_plan(replace(ALL, mixup=0, cutmix=0)), 5)
    views = read_views(_plan(replace(ALL, mixup=0)), 5, np.arange(COUNT))
    own = (views.pixels == alone).all(axis=3)
    assert (own | (views.pixels == alone[views.partners]).all(axis=3)).all()
    # A pixel may agree with both, so there are at least as many of its own as the share says.
    assert (own.mean(axis=(1, 2)) >= views.shares - 1e-6).all()


def test_erasing_and_randaugment_leave_the_geometry_alone():
    plain = Augmenting(augment="crop+flip")
    erased = _all(_plan(replace(plain, erasing=1.0)))
    base = _all(_plan(plain))
    kept = (erased == base).all(axis=3)
    assert not kept.all()
    assert kept.mean() > 0.6  # at most a third of an image is erased
    often = _all(_plan(replace(plain, randaugment=1e-9)))
    untouched = (often == base).all(axis=(1, 2, 3)).mean()
    assert untouched > 0.6  # 12 of 14 operations do nothing: (12 / 14)^2


def test_mixing_leaves_an_images_own_view_alone():
    plain = Augmenting(augment="crop+flip")
    views = read_views(_plan(replace(plain, mixup=0.2)), 0, np.arange(COUNT))
    unmixed = views.shares == 1
    assert unmixed.any()
    assert np.array_equal(views.pixels[unmixed], _all(_plan(plain))[unmixed])


def test_without_mixing_there_are_no_partners():
    views = read_views(_plan(Augmenting()), 0, np.arange(4))
    assert views.partners is None
    assert views.shares is None
    assert mixture(_plan(Augmenting()), 0, np.arange(4)) == (None, None)


def test_shares_and_partners_are_known_without_an_image():
    indices = np.array([4, 9, 1])
    views = read_views(_plan(), 7, indices)
    shares, partners = mixture(_plan(), 7, indices)
    assert np.array_equal(shares, views.shares)
    assert np.array_equal(partners, views.partners)


def test_views_have_the_size_of_the_plan():
    views = read_views(_plan(size=(6, 5)), 0, np.arange(COUNT))
    assert views.pixels.shape == (COUNT, 6, 5, 3)
    assert views.pixels.dtype == np.uint8
    assert len(views) == COUNT


def test_no_images_make_an_empty_view():
    assert read_views(_plan(), 0, np.array([], np.int64)).pixels.shape == (0, 10, 12, 3)


def test_views_do_not_write_to_the_images():
    plan = _plan()
    before = plan.split.images.pixels.copy()
    for number in range(3):
        _all(plan, number)
    assert np.array_equal(plan.split.images.pixels, before)


def test_none_shows_the_images_themselves():
    plan = _plan(Augmenting(augment="none"))
    assert np.array_equal(_all(plan, 3), plan.split.images.pixels)


CHANGES = {
    "augment": "none",
    "randaugment": 3.0,
    "erasing": 0.1,
    "mixup": 0.3,
    "cutmix": 0.3,
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_pixels_changes_the_identity(name):
    plan, other = _plan(), _plan(replace(ALL, **{name: CHANGES[name]}))
    assert plan.identity() != other.identity()
    assert not np.array_equal(_all(plan), _all(other))


def test_the_identity_is_json_and_leaves_out_only_how_often_views_come():
    plan = _plan()
    assert json.loads(json.dumps(plan.identity())) == plan.identity()
    assert plan.identity() == _plan(replace(ALL, views=4, view_size=12)).identity()
    assert plan.identity() != replace(plan, seed=9).identity()
    assert plan.identity() != replace(plan, size=(4, 4)).identity()
    assert plan.identity() != replace(plan, source="other").identity()
    assert {field.name for field in fields(Augmenting)} == {*CHANGES, "views", "view_size"}
