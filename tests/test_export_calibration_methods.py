"""From statistics to ranges: what every method promises, and each one's numbers."""

import math

import numpy as np
import pytest

from compress.errors import UsageError
from compress_export.calibration import (
    Observed,
    find_ranges,
    list_methods,
    load_method,
    needs_histogram,
)
from compress_export.calibration._histogram import Histogram, RunningHistogram
from compress_export.calibration.entropy import _Divergence
from compress_export.calibration.mse import _Moments

CLIPPING = ("entropy", "mse", "percentile")


def observed_of(parts):
    """Statistics of one tensor that took the values of `parts`, an image each."""
    running = RunningHistogram()
    parts = [np.asarray(part, np.float32) for part in parts]
    for part in parts:
        running.add(part, float(part.min()), float(part.max()))
    lows, highs = [float(p.min()) for p in parts], [float(p.max()) for p in parts]
    return Observed(
        low=min(lows),
        high=max(highs),
        average_low=math.fsum(lows) / len(lows),
        average_high=math.fsum(highs) / len(highs),
        histogram=running.result(),
        count=len(parts),
    )


def of_histogram(counts, first, width=1.0):
    """Statistics whose values fill their outer bins."""
    counts = np.asarray(counts, np.int64)
    low, high = first * width, (first + len(counts)) * width
    return Observed(
        low=low,
        high=high,
        average_low=low,
        average_high=high,
        histogram=Histogram(counts, width, first),
        count=1,
    )


def range_of(observed, method):
    return find_ranges({"t": observed}, method)["t"]


def bell(lowest, highest, *, outlier=None, total=1e8, per_unit=64):
    """Counts of a standard normal over [lowest, highest], and one value at `outlier`."""
    end = highest if outlier is None else outlier
    centres = np.arange(lowest * per_unit, end * per_unit) / per_unit + 0.5 / per_unit
    counts = np.rint(total / per_unit * np.exp(-(centres**2) / 2) / math.sqrt(2 * math.pi))
    counts[centres > highest] = 0
    if outlier is not None:
        counts[-1] = 1
    return of_histogram(counts, lowest * per_unit, 1 / per_unit)


RNG = np.random.default_rng(0)
TENSORS = {
    "two-sided": [RNG.normal(0.3, 1, 500) for _ in range(4)],
    "behind a ReLU": [np.maximum(RNG.normal(0, 2, 500), 0) for _ in range(4)],
    "behind a ReLU6": [np.clip(RNG.normal(2, 4, 500), 0, 6) for _ in range(4)],
    "negative": [-RNG.exponential(1, 500) - 0.1 for _ in range(4)],
    "far from zero": [RNG.uniform(99, 100, 50) for _ in range(4)],
    "heavy tails": [RNG.standard_cauchy(500) for _ in range(4)],
    "tiny": [RNG.normal(0, 1e-9, 500) for _ in range(4)],
    "huge": [RNG.normal(0, 1e9, 500) for _ in range(4)],
    "four logits": [RNG.normal(0, 3, 4) for _ in range(4)],
}
DEGENERATE = {
    "zeros": np.zeros(5),
    "one positive value": np.full(5, 0.7),
    "one negative value": np.full(5, -1e-9),
    "one huge value": np.full(1, 1e9),
    "two values": np.array([-1.0, 5.0]),
    "subnormal": np.array([0.0, 1e-44]),
    "a subnormal step": np.array([0.0, 1e-37]),
    "zeros but for one": np.array([0.0] * 1000 + [4.0]),
}

# ------------------------------------------------------------------------------ every method


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("tensor", [*TENSORS, *DEGENERATE])
def test_a_range_holds_zero_and_lies_within_what_was_seen(method, tensor):
    observed = observed_of(TENSORS.get(tensor) or [DEGENERATE[tensor]])
    low, high = range_of(observed, method)
    assert min(observed.low, 0.0) <= low <= 0.0 <= high <= max(observed.high, 0.0)
    assert math.isfinite(high - low)


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("tensor", TENSORS)
def test_a_range_holds_most_of_the_values(method, tensor):
    values = np.concatenate(TENSORS[tensor])
    low, high = range_of(observed_of(TENSORS[tensor]), method)
    step = (high - low) / 255
    inside = (values >= low - step) & (values <= high + step)
    assert inside.mean() >= (0.6 if tensor == "four logits" else 0.95)


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("tensor", TENSORS)
def test_order_and_batches_of_values_do_not_matter_and_twice_is_the_same(method, tensor):
    parts = TENSORS[tensor]
    expected = range_of(observed_of(parts), method)
    assert range_of(observed_of(parts), method) == expected
    assert range_of(observed_of(parts[::-1]), method) == expected


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("tensor", DEGENERATE)
def test_the_step_of_a_range_is_a_float32_or_there_is_none(method, tensor):
    low, high = range_of(observed_of([DEGENERATE[tensor]]), method)
    step = np.float32((high - low) / 255)
    assert step >= np.finfo(np.float32).smallest_normal or (low, high) == (0.0, 0.0)


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("value", [0.7, -0.7, 1e-9, -1e9])
def test_a_constant_is_the_end_of_its_range(method, value):
    low, high = range_of(observed_of([np.full(9, value)]), method)
    assert low + high == pytest.approx(value, rel=1e-3)
    assert 0.0 in (low, high)


@pytest.mark.parametrize("method", list_methods())
def test_an_even_distribution_keeps_its_full_range(method):
    """But for what rounding gains at the ends: at most a step each."""
    low, high = range_of(of_histogram(np.full(3000, 1000), -1000), method)
    assert low == pytest.approx(-1000, abs=3000 / 255)
    assert high == pytest.approx(2000, abs=3000 / 255)


@pytest.mark.parametrize("lowest", [0, -6])
def test_a_far_outlier_is_clipped_by_all_that_clip(lowest):
    observed = bell(lowest, 6, outlier=60)
    assert range_of(observed, "minmax") == (lowest, 60)
    for method in CLIPPING:
        low, high = range_of(observed, method)
        assert 3 < high < 30, method
        assert low <= lowest / 2, method


@pytest.mark.parametrize("method", CLIPPING)
def test_mirrored_values_have_the_mirrored_range(method):
    observed = bell(-2, 6)
    histogram = observed.histogram
    mirrored = of_histogram(histogram.counts[::-1], -6 * 64, 1 / 64)
    low, high = range_of(observed, method)
    assert range_of(mirrored, method) == pytest.approx((-high, -low), abs=2 / 64)


@pytest.mark.parametrize("method", list_methods())
def test_a_method_says_what_it_needs_and_describes_itself(method):
    bare = Observed(low=-1.0, high=2.0, average_low=-0.5, average_high=1.0, histogram=None, count=1)
    if not needs_histogram(method):
        assert range_of(bare, method)[1] > 0
    assert load_method(method).__doc__


def test_these_methods_exist():
    assert list_methods() == ("entropy", "minmax", "moving_average", "mse", "percentile")
    assert [m for m in list_methods() if needs_histogram(m)] == list(CLIPPING)


@pytest.mark.parametrize("ask", [load_method, needs_histogram, lambda m: find_ranges({}, m)])
def test_an_unknown_method_is_refused_with_the_known_ones(ask):
    with pytest.raises(UsageError, match="calibration median: expected one of entropy, minmax"):
        ask("median")


# --------------------------------------------------------------------------- minmax, averages


def test_minmax_is_extended_to_zero():
    assert range_of(observed_of([[1.0, 3.0]]), "minmax") == (0.0, 3.0)
    assert range_of(observed_of([[-1.0, -3.0], [-2.0]]), "minmax") == (-3.0, 0.0)


def test_the_moving_average_is_the_range_of_a_usual_image():
    assert range_of(observed_of([[-1.0, 3.0], [-2.0, 7.0]]), "moving_average") == (-1.5, 5.0)


# -------------------------------------------------------------------------------- percentile


def test_half_of_a_ten_thousandth_is_cut_on_each_side():
    """Of 10000 values half a one a side: a hundredth of the fifty in [-1, 0) and in [1, 2)."""
    low, high = range_of(of_histogram([50, 9900, 50], -1), "percentile")
    assert (low, high) == pytest.approx((-0.99, 1.99), abs=1e-12)


def test_quantiles_agree_with_sorting():
    values = np.random.default_rng(1).normal(0, 1, 400_000).astype(np.float32)
    observed = observed_of([values])
    expected = np.quantile(values.astype(np.float64), [0.00005, 0.99995])
    found = range_of(observed, "percentile")
    np.testing.assert_allclose(found, expected, atol=2 * observed.histogram.width)


# --------------------------------------------------------------------------------------- mse


def _squared_error_by_loop(histogram, low, high, points=200):
    """uint8 of points spread over each bin, one after the other."""
    scale = (high - low) / 255
    zero = round(-low / scale)
    total = 0.0
    for j, count in enumerate(histogram.counts):
        for point in range(points):
            x = histogram.first + j + (point + 0.5) / points
            q = min(max(round(x / scale) + zero, 0), 255)
            total += count / points * (x - (q - zero) * scale) ** 2
    return total / histogram.counts.sum()


def _cost(costs, low, high):
    return float(costs(np.array([low]), np.array([high]))[0])


def test_an_even_distribution_errs_by_a_twelfth_of_a_squared_step():
    """Steps of one bin, then of a fifth with 204 of 255 bins clipped: 204^3 / 3 / 255 more."""
    costs = _Moments(Histogram(np.full(255, 7), 1.0, 0)).squared_error
    assert _cost(costs, 0, 255) == pytest.approx(1 / 12, rel=1e-8)
    expected = 51 / 255 * 0.2**2 / 12 + 204**3 / 3 / 255
    assert _cost(costs, 0, 51) == pytest.approx(expected, rel=1e-8)


def test_squared_errors_are_those_of_a_loop_over_values():
    counts = np.random.default_rng(2).integers(0, 50, 40)
    counts[[0, -1]] = 1, 30
    histogram = Histogram(counts, 0.5, -13)
    costs = _Moments(histogram).squared_error
    for low, high in [(-13, 27), (-5, 27), (-13, 3), (-1, 1), (0, 20), (-7, 0)]:
        expected = _squared_error_by_loop(histogram, low, high)
        assert _cost(costs, low, high) == pytest.approx(expected, rel=2e-2)


def test_squared_errors_keep_their_digits_far_from_zero():
    """Moments are differences of large numbers: 4000 bins from zero a twelfth is still one."""
    costs = _Moments(Histogram(np.full(80, 3), 1.0, 4000)).squared_error
    step = 4080 / 255
    assert _cost(costs, 0, 4080) == pytest.approx(step**2 / 12, rel=1e-6)


def test_a_normal_distribution_is_clipped_where_the_literature_says():
    """Eight bits: 3.92 standard deviations for a symmetric range (Banner et al., table of ACIQ)."""
    low, high = range_of(bell(-8, 8, total=1e12, per_unit=256), "mse")
    assert high == pytest.approx(3.92, abs=0.12)
    assert low == pytest.approx(-3.92, abs=0.12)


# ----------------------------------------------------------------------------------- entropy


def _divergence_by_loop(histogram, low, high):
    """KL(P || Q) by its definition, bin after bin, with zeros as they are."""
    scale = (high - low) / 255
    zero = round(-low / scale)
    count = {histogram.first + j: int(n) for j, n in enumerate(histogram.counts)}
    inside = {b: count.get(b, 0) for b in range(low, high)}
    p = dict(inside)
    p[low] += sum(n for b, n in count.items() if b < low)
    p[high - 1] += sum(n for b, n in count.items() if b >= high)
    levels = {}
    for b, n in inside.items():
        level = min(max(round((b + 0.5) / scale), -zero), 255 - zero)
        levels.setdefault(level, []).append((b, n))
    total, divergence = sum(count.values()), 0.0
    for bins in levels.values():
        filled = sum(n > 0 for _, n in bins)
        mass = sum(n for _, n in bins)
        for b, n in bins:
            if p[b]:
                if not n:
                    return math.inf
                divergence += p[b] / total * math.log(p[b] / (mass / filled))
    return divergence


def test_two_bins_to_a_level_by_hand():
    """510 bins in 255 steps; levels of 3 and 1, or 1 and 3: by hand sum p log(p / 2)."""
    counts = np.tile([3, 1, 1, 3], 128)[:510]
    costs = _Divergence(Histogram(counts, 1.0, 0)).cost
    assert _cost(costs, 0, 510) == pytest.approx(
        _divergence_by_loop(Histogram(counts, 1.0, 0), 0, 510), abs=1e-12
    )
    flat = _Divergence(Histogram(np.full(510, 2), 1.0, 0)).cost
    assert _cost(flat, 0, 510) == pytest.approx(0, abs=1e-12)
    # A tenth of the values clipped into the last of 459 bins, whose share was 1/510.
    p, q = 52 / 510, 1 / 510
    assert _cost(flat, 0, 459) == pytest.approx(p * math.log(p / q), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_divergences_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, 900)
    counts[[0, -1]] = 1
    histogram = Histogram(counts, 1.0, -311)
    left, right = counts[310], counts[312]
    counts[311] = max(left, right, 1)  # nothing to cut at zero
    costs = _Divergence(histogram).cost
    for low, high in [(-311, 589), (-200, 589), (-311, 77), (-100, 300), (-1, 589), (-3, 2)]:
        expected = _divergence_by_loop(histogram, low, high)
        assert _cost(costs, low, high) == pytest.approx(expected, rel=1e-9)


def test_zeros_behind_a_relu_do_not_pull_the_range_down():
    observed = bell(0, 6)
    low, high = range_of(observed, "entropy")
    observed.histogram.counts[0] *= 1000
    assert range_of(observed, "entropy") == (low, high)


# ------------------------------------------------------------------------------------ search


@pytest.mark.parametrize("shape", ["normal", "exponential", "laplace", "uniform", "two humps"])
def test_the_search_finds_what_trying_thousands_of_ranges_finds(shape):
    rng = np.random.default_rng(3)
    values = {
        "normal": rng.normal(0.5, 1, 30000),
        "exponential": rng.exponential(1, 30000) - 0.3,
        "laplace": rng.laplace(0, 1, 30000),
        "uniform": rng.uniform(-1, 3, 30000),
        "two humps": np.concatenate([rng.normal(-2, 0.3, 15000), rng.normal(3, 0.4, 15000)]),
    }[shape]
    width = np.ptp(values) / 3000
    index = np.floor(values / width).astype(int)
    counts, first = np.bincount(index - index.min()), int(index.min())
    observed = of_histogram(counts, first)
    lows, highs = range(first, 0, 25), range(first + len(counts), 0, -25)
    pairs = np.array([(low, high) for low in lows for high in highs])
    for method, costs in [
        ("mse", _Moments(observed.histogram).squared_error),
        ("entropy", _Divergence(observed.histogram).cost),
    ]:
        best = min(costs(*part.T).min() for part in np.array_split(pairs, 20))
        low, high = load_method(method)(observed)
        found = _cost(costs, round(low), round(high))
        assert found <= 1.01 * best + 1e-9, method
