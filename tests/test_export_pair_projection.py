"""Weights safe in pairs at the least cost in precision."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

import exported
from compress_export.quantizers.pair_projection import harm, project, safe_weights, shrink_pairs
from compress_export.quantizers.pair_safe import Weight, pair_safe_scales
from compress_export.quantizers.static_qdq import quantize


def _shrunk(row: list[int]) -> list[int]:
    return shrink_pairs(np.array([row], dtype=np.float32))[0].astype(int).tolist()


def _weight(values: np.ndarray, *, exempt: bool = False, axis: int = 0) -> Weight:
    return Weight("w", axis, values.astype(np.float32), exempt)


def _random(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([127, 127], [64, 64]),
        ([-127, -127], [-64, -64]),
        ([100, 29, 99], [99, 29, 99]),  # 129 loses one; what is left makes 128
        ([127, -127, 127], [127, -127, 127]),  # of unlike signs all fit
        ([64, 64, 64], [64, 64, 64]),
        ([0, 127, 1, 0], [0, 127, 1, 0]),
    ],
)
def test_both_of_a_pair_come_back_to_the_bound(row, expected):
    assert _shrunk(row) == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(-127, 127), min_size=1, max_size=12))
def test_any_row_is_safe_afterwards_and_only_shrinks(row):
    found = _shrunk(row)
    for one, two in pairwise(found):
        assert one * two <= 0 or abs(one + two) <= 128
    for before, after in zip(row, found, strict=True):
        assert before * after >= 0
        assert abs(after) <= abs(before)
    assert _shrunk(found) == found


def _harm(errors: np.ndarray) -> np.ndarray:
    rows = errors.reshape(len(errors), -1).astype(np.float64)
    return (rows**2).sum(axis=1) + rows.sum(axis=1) ** 2


def test_harm_is_the_squared_error_and_the_square_of_its_sum():
    """Errors 0.1, -0.2 and 0.4: 0.01 + 0.04 + 0.16 + 0.3^2 = 0.30."""
    rows = np.array([[0.9, 2.2, 0.6]], dtype=np.float32)
    integers = np.array([[2, 4, 2]], dtype=np.float32)
    assert harm(rows, integers, np.array([0.5], np.float32))[0] == pytest.approx(0.30, rel=1e-5)


def test_no_channel_is_harmed_more_than_at_the_scale_that_fits_all():
    """The plain rounding worked out apart; on random weights the gain is large."""
    weight = _weight(_random((32, 16, 3, 3)))
    safe = project(weight)
    plain_scales = pair_safe_scales(weight)[:, None, None, None]
    plain = np.rint(weight.values / plain_scales) * plain_scales
    found, before = _harm(safe.values - weight.values), _harm(plain - weight.values)
    assert (found <= before * (1 + 1e-4)).all()
    assert found.sum() < 0.7 * before.sum()


def test_values_are_whole_multiples_of_their_scales_and_safe():
    weight = _weight(_random((8, 6, 3, 3), seed=1))
    safe = project(weight)
    integers = safe.values / safe.scales[:, None, None, None]
    np.testing.assert_allclose(integers, np.rint(integers), atol=1e-4)
    assert np.abs(integers).max() <= 127.001
    for channel in np.rint(integers).astype(int):
        for one, two in pairwise(channel.transpose(1, 2, 0).ravel().tolist()):  # kh, kw, ic
            assert one * two <= 0 or abs(one + two) <= 128


def test_depthwise_weights_are_only_rounded():
    weight = _weight(_random((8, 1, 3, 3), seed=2), exempt=True)
    safe = project(weight)
    smallest = np.abs(weight.values).max(axis=(1, 2, 3)) / 127
    assert (safe.scales >= smallest).all()
    assert (safe.scales <= 1.1001 * smallest).all()
    error = np.abs(safe.values - weight.values)
    assert (error <= 0.501 * safe.scales[:, None, None, None]).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_fully_connected_weight_keeps_its_shape(axis):
    values = _random((5, 7), seed=3)
    safe = project(_weight(values, axis=axis))
    assert safe.values.shape == (5, 7)
    assert safe.scales.shape == ((5,) if axis == 0 else (7,))
    np.testing.assert_allclose(safe.values, values, atol=0.04)


@pytest.mark.parametrize(("shape", "axis"), [((4, 3, 2, 5), 0), ((4, 3), 0), ((4, 3), 1)])
def test_rows_go_back_to_where_they_came_from(shape, axis):
    weight = _weight(_random(shape, seed=4), axis=axis)
    np.testing.assert_array_equal(weight.from_rows(weight.rows()), weight.values)


def test_a_channel_of_zeros_stays_zero():
    safe = project(_weight(np.zeros((2, 4), np.float32)))
    assert not safe.values.any()
    assert (safe.scales > 0).all()


def test_the_file_holds_exactly_these_weights():
    graph = exported.float_graph()
    weights = safe_weights(graph)
    ranges = exported.ranges(graph, [exported.inputs()])
    quantized = quantize(graph, ranges, weights)
    tensors = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    assert len(weights) == 5
    for name, safe in weights.items():
        written = tensors[f"{name}_quantized"].astype(np.float32)
        shape = [-1 if i == safe.weight.axis else 1 for i in range(written.ndim)]
        np.testing.assert_allclose(
            written * safe.scales.reshape(shape), safe.values, rtol=1e-6, atol=1e-9
        )
