"""Random numbers with random access: Philox and the counter that says what a number is for."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.training.draws import Draws, Purpose, below, philox, uniform

INDICES = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the philox4x32 lines, 10 rounds, of Random123's kat_vectors
        (
            "00000000 00000000 00000000 00000000",
            "00000000 00000000",
            "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ),
        (
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
        ),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, expected):
    words = np.array([[int(word, 16)] for word in counter.split()], dtype=np.uint64)
    first, second = (int(word, 16) for word in key.split())
    answer = philox(words, (first, second))
    assert " ".join(f"{int(word):08x}" for word in answer[:, 0]) == expected


def test_the_counter_is_index_view_purpose_and_block_and_the_key_is_the_seed():
    seed, view, index = 7 * 2**32 + 5, 3, 2 * 2**32 + 9
    words = Draws(seed, view, np.array([index])).words(Purpose.ERASING, 8)
    counter = np.array([[9], [2], [view], [(int(Purpose.ERASING) << 24) + 1]], dtype=np.uint64)
    assert np.array_equal(words[0, 4:], philox(counter, (5, 7))[:, 0])


@settings(deadline=None)
@given(INDICES, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_a_row_depends_on_its_own_index_alone(indices, seed, view, count):
    together = Draws(seed, view, np.array(indices)).words(Purpose.GEOMETRY, count)
    assert together.shape == (len(indices), count)
    for row, index in zip(together, indices, strict=True):
        alone = Draws(seed, view, np.array([index])).words(Purpose.GEOMETRY, count)
        assert np.array_equal(row, alone[0])


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_a_longer_row_begins_with_the_shorter_one(a, b):
    few, many = sorted((a, b))
    draws = Draws(1, 2, np.arange(5))
    words = draws.words(Purpose.MIXING, many)
    assert np.array_equal(draws.words(Purpose.MIXING, few), words[:, :few])


def test_no_two_seeds_views_purposes_and_images_share_a_number():
    seen = set()
    for seed, view in itertools.product((0, 1, 2**32, 2**64 - 1), (0, 1, 2**32 - 1)):
        draws = Draws(seed, view, np.array([0, 1, 2**32, 2**40]))
        for purpose in Purpose:
            seen |= {tuple(block) for block in draws.words(purpose, 40).reshape(-1, 4).tolist()}
    assert len(seen) == 4 * 3 * 4 * len(Purpose) * 10


def test_no_images_have_no_numbers():
    assert Draws(0, 0, np.array([], np.int64)).words(Purpose.GEOMETRY, 7).shape == (0, 7)


def test_numbers_are_uniform_and_slots_are_not_correlated():
    values = uniform(Draws(0, 0, np.arange(40_000)).words(Purpose.GEOMETRY, 8))
    shares = np.histogram(values, bins=20, range=(0, 1))[0] / values.size
    assert np.abs(shares - 0.05).max() < 0.002  # 5 standard errors are 0.0019
    assert np.abs(np.corrcoef(values.T) - np.eye(8)).max() < 0.025


def test_the_ends_are_left_out():
    ends = uniform(np.array([0, 2**32 - 1], np.uint64))
    assert 0 < ends[0] < 1e-9
    assert 1 - 1e-9 < ends[1] < 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1), st.integers(1, 2**32))
def test_below_stays_below_its_bound_and_keeps_the_order(words, bound):
    numbers = below(np.array(sorted(words), np.uint64), bound)
    assert numbers.min() >= 0
    assert numbers.max() < bound
    assert (np.diff(numbers) >= 0).all()
    assert numbers[0] == min(words) * bound // 2**32


def test_below_takes_a_bound_for_each_row():
    words = np.array([2**31, 2**31, 2**32 - 1], np.uint64)
    assert below(words, np.array([10, 7, 3])).tolist() == [5, 3, 2]
