"""Running histograms: the same whatever comes first, and equal to one counted at the end."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_export.calibration._histogram import BINS, RunningHistogram


def _count(parts):
    running = RunningHistogram()
    for part in parts:
        values = np.asarray(part, dtype=np.float32)
        running.add(values, float(values.min()), float(values.max()))
    return running.result()


def _by_hand(values, width):
    """{bin: count} by Python's exact integers and float64."""
    counts = {}
    for value in values:
        index = math.floor(float(value) / width)
        counts[index] = counts.get(index, 0) + 1
    return counts


def _as_dict(histogram):
    return {histogram.first + j: int(n) for j, n in enumerate(histogram.counts) if n}


MAGNITUDES = st.sampled_from([1e-30, 1e-9, 1e-3, 1.0, 50.0, 1e4, 1e9, 1e30])
VALUES = st.builds(
    lambda x, scale: float(np.float32(x * scale)), st.floats(-1, 1, width=32), MAGNITUDES
)


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40), st.data())
def test_order_and_batches_do_not_change_counts(values, data):
    whole = _count([values])
    shuffled = data.draw(st.permutations(values))
    cuts = data.draw(st.lists(st.integers(1, len(values)), max_size=5))
    parts = [p for p in np.split(np.array(shuffled, np.float32), sorted(cuts)) if p.size]
    other = _count(parts)
    assert (other.width, other.first) == (whole.width, whole.first)
    np.testing.assert_array_equal(other.counts, whole.counts)


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40))
def test_counts_are_those_of_the_final_width(values):
    found = _count([[value] for value in values])
    assert math.frexp(found.width)[0] == 0.5
    assert _as_dict(found) == _by_hand(np.array(values, np.float32), found.width)


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES.filter(bool), min_size=1, max_size=20))
def test_no_smaller_width_would_hold_the_values(values):
    found = _count([values])
    narrower = [math.floor(float(np.float32(v)) / (found.width / 2)) for v in values]
    assert found.width == 2.0**-126 or not all(-BINS <= index < BINS for index in narrower)


@pytest.mark.parametrize("shift", [0.0, -3.0, 40.0])
def test_a_large_tensor_is_counted_whole(shift):
    values = np.random.default_rng(0).normal(shift, 5, (3, 50, 1001)).astype(np.float32)
    found = _count([values[0], values[1:]])
    assert found.counts.dtype == np.int64
    assert found.counts.sum() == values.size
    index = np.floor(values.astype(np.float64) / found.width).astype(int) - found.first
    np.testing.assert_array_equal(found.counts, np.bincount(index.ravel()))


def test_four_values_worked_out():
    """The largest, 3, asks for bins of 2^-10: 3 * 1024 = 3072 is below 4096."""
    found = _count([[0.0, 3.0], [-0.0001, 0.5]])
    assert found.width == 2.0**-10
    assert _as_dict(found) == {-1: 1, 0: 1, 512: 1, 3072: 1}


def test_the_lowest_bin_holds_its_own_edge():
    assert _as_dict(_count([[-1.0]])) == {-BINS: 1}
    assert _count([[-1.0]]).width == 2.0**-12
    assert _count([[1.0]]).width == 2.0**-11  # the bin that starts at 1 is one too far


def test_zeros_take_whatever_width_comes_later():
    assert _as_dict(_count([np.zeros(5)])) == {0: 5}
    assert _as_dict(_count([np.zeros(5), [1e9]])) == _as_dict(_count([[1e9], np.zeros(5)]))


def test_a_negative_subnormal_stays_below_zero_beside_huge_values():
    tiny = float(np.float32(-1e-45))
    for parts in ([[tiny], [-1e9]], [[-1e9], [tiny]], [[tiny, -1e9]]):
        assert _as_dict(_count(parts))[-1] == 1


def test_more_values_than_thirty_two_bits_hold_do_not_wrap():
    running = RunningHistogram()
    running._counts[BINS] = 2**40
    running.add(np.zeros(1, np.float32), 0.0, 0.0)
    assert running.result().counts.tolist() == [2**40 + 1]


def test_nothing_counted_is_refused():
    with pytest.raises(ValueError, match="expected values"):
        RunningHistogram().result()
