"""Cutting splits: disjoint, complete, stratified, and independent of listing order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.splits import Cut, order_of_indices, order_of_names, take
from compress.errors import DataError

CUT = Cut("photos", "test", tuple("abcdefgh"))

labels_of_pairs = st.lists(st.integers(0, 7), min_size=1, max_size=60).map(
    lambda labels: np.array(labels + sorted(set(labels)))  # at least two of each
)
fractions = st.floats(0.01, 0.99)
names_of_class = st.sets(st.text("abcxyz0123 .ä", min_size=1, max_size=6), min_size=4, max_size=30)


def cut_names(names: list[str], seed: int, fraction: float) -> set[str]:
    labels = np.zeros(len(names), dtype=np.int64)
    _, go = take(CUT, labels, order_of_names(names, seed), fraction)
    return {names[i] for i in go}


@settings(deadline=None)
@given(labels_of_pairs, fractions, st.integers(0, 2**31))
def test_a_cut_is_disjoint_complete_and_sorted(labels, fraction, seed):
    stay, go = take(CUT, labels, order_of_indices(len(labels), seed), fraction)
    assert sorted([*stay, *go]) == list(range(len(labels)))
    assert np.array_equal(stay, np.sort(stay)) and np.array_equal(go, np.sort(go))


@settings(deadline=None)
@given(labels_of_pairs, fractions, st.integers(0, 2**31))
def test_a_cut_takes_the_share_of_each_class_but_never_all_or_none(labels, fraction, seed):
    _, go = take(CUT, labels, order_of_indices(len(labels), seed), fraction)
    for label in np.unique(labels):
        whole, taken = int((labels == label).sum()), int((labels[go] == label).sum())
        assert 1 <= taken <= whole - 1
        assert abs(taken - fraction * whole) <= 1


@settings(deadline=None)
@given(names_of_class, fractions, st.integers(0, 2**31), st.randoms())
def test_a_cut_of_files_does_not_depend_on_their_order(names, fraction, seed, random):
    ordered = sorted(names)
    shuffled = ordered.copy()
    random.shuffle(shuffled)
    assert cut_names(ordered, seed, fraction) == cut_names(shuffled, seed, fraction)


@settings(deadline=None)
@given(names_of_class, st.text("QRS", min_size=1), fractions, st.integers(0, 2**31))
def test_a_file_that_is_added_moves_at_most_one_other(names, new, fraction, seed):
    before = cut_names(sorted(names), seed, fraction)
    after = cut_names(sorted({*names, new}), seed, fraction)
    assert len((before ^ after) - {new}) <= 1


def test_a_file_that_is_added_to_one_class_moves_none_of_another():
    cats, dogs = [f"cat/{i}.png" for i in range(20)], [f"dog/{i}.png" for i in range(20)]

    def cut_cats(dogs: list[str]) -> set[str]:
        names = cats + dogs
        labels = np.array([0] * len(cats) + [1] * len(dogs))
        _, go = take(CUT, labels, order_of_names(names, 0), 0.2)
        return {names[i] for i in go if names[i].startswith("cat/")}

    assert cut_cats(dogs) == cut_cats([*dogs, "dog/20.png", "dog/21.png"])


def test_another_seed_cuts_other_files():
    names = [f"{i}.png" for i in range(100)]
    assert cut_names(names, 0, 0.2) != cut_names(names, 1, 0.2)


def test_names_that_are_no_text_are_ordered_too():
    assert sorted(order_of_names(["a\udcff.png", "b.png"], 0)) == [0, 1]


def test_a_class_with_one_image_cannot_be_cut():
    with pytest.raises(DataError, match="photos: class b has 1 image to cut test from, expected"):
        take(CUT, np.array([0, 0, 1]), np.arange(3), 0.5)
