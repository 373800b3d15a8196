"""Statistics of latency and accuracy, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from compress_bench.statistics import (
    FLOORS,
    geometric,
    is_resolvable,
    log_ratios,
    matched_difference,
    nearest_rank,
    order_ranks,
    percentile,
    ratio,
    resolution,
)


@pytest.mark.parametrize(("n", "percent", "expected"), [(10, 50, 5), (10, 90, 9), (11, 90, 10)])
def test_nearest_rank_is_a_sample_that_was_measured(n, percent, expected):
    samples = np.arange(n, 0, -1, dtype=np.float64)  # n .. 1, unsorted
    assert nearest_rank(samples, percent) == expected


def test_the_median_of_ten_lies_between_the_second_and_the_ninth():
    # P(at most 1 of 10 below) = 11/1024 = 0.011 <= 0.025; with 2 it is 0.055.
    assert order_ranks(10, 50) == (2, 9)


def test_five_samples_do_not_bound_a_median_at_95_percent():
    # P(none of 5 below) = 1/32 = 0.031 > 0.025.
    assert order_ranks(5, 50) == (0, 6)


def test_order_ranks_cover_at_least_what_they_promise():
    for n, percent in ((64, 90), (130, 95), (662, 99)):
        low, high = order_ranks(n, percent)
        q = percent / 100
        mass = [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(low, high)]
        assert 0.95 <= sum(mass) < 0.995


@pytest.mark.parametrize("percent", [90, 95, 99])
def test_a_floor_is_the_first_n_with_two_samples_above_in_99_of_100_cases(percent):
    def at_most_one_above(n):
        p = 1 - percent / 100
        return (1 - p) ** n + n * p * (1 - p) ** (n - 1)

    floor = FLOORS[percent]
    assert at_most_one_above(floor) <= 0.01 < at_most_one_above(floor - 1)


def test_a_percentile_below_its_floor_is_refused_with_both_numbers():
    found = percentile([np.arange(30.0), np.arange(33.0)], 90)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "at least 64" in found.reason and "found 63" in found.reason


def test_percentiles_of_equal_processes_have_binomial_bounds():
    process = np.arange(1.0, 101.0)  # both hold 1 .. 100, so that no spread is added
    found = percentile([process, process], 90)
    low, high = order_ranks(200, 90)
    pooled = np.sort(np.concatenate([process, process]))
    assert (found.value, found.low, found.high) == (90.0, pooled[low - 1], pooled[high - 1])


def test_processes_that_differ_widen_the_bounds_of_a_percentile():
    rng = np.random.default_rng(0)
    alike = [rng.normal(10, 1, 400) for _ in range(5)]
    unlike = [samples + 0.2 * i for i, samples in enumerate(alike)]
    narrow, wide = percentile(alike, 90), percentile(unlike, 90)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_geometric_mean_has_students_interval_on_the_logs():
    # logs of 1, 2, 4: mean ln 2, sd ln 2, n 3; t(0.975, 2) = 4.3027; half = 4.3027 ln 2 / sqrt 3.
    half = 4.302653 * math.log(2) / math.sqrt(3)
    found = geometric([1.0, 2.0, 4.0])
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-half), rel=1e-5)
    assert found.high == pytest.approx(2 * math.exp(half), rel=1e-5)


def test_one_process_has_a_value_but_no_bounds_and_says_why():
    for found in (geometric([3.0]), ratio(np.array([0.1])), percentile([np.arange(99.0)], 50)):
        assert found.value is not None
        assert (found.low, found.high) == (None, None)
        assert "one process" in found.reason


def test_ratios_are_of_block_medians_and_averaged_over_rounds():
    rounds = [
        {"a": np.array([4.0, 400.0, 4.0]), "b": np.array([1.0, 1.0, 1.0])},  # ratio 4
        {"a": np.array([9.0]), "b": np.array([1.0])},  # ratio 9
    ]
    (found,) = log_ratios([rounds], "a", "b")
    assert math.exp(found) == pytest.approx(6.0)  # sqrt(4 * 9)


def test_pairing_within_rounds_cancels_what_both_models_suffer():
    rounds = [{"a": pace * np.ones(5), "b": pace * np.ones(5) / 3} for pace in (1, 2, 5)]
    found = ratio(log_ratios([rounds, rounds[:2]], "a", "b"))
    assert found.low == pytest.approx(3.0) and found.high == pytest.approx(3.0)


def test_a_perfect_machine_still_declares_nothing_below_the_margin():
    assert resolution(np.zeros(5)).smallest_difference == 0.02


def test_two_processes_resolve_nothing_and_say_so():
    found = resolution(np.array([0.001, -0.001]))
    assert found.smallest_difference is None
    assert "at least 3 processes" in found.reason
    assert not is_resolvable(np.log([2.0, 2.0]), found)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.10, 1.101, 1.099, 1.10, 1.10], True),
        ([0.90, 0.901, 0.899, 0.90, 0.90], True),
        ([1.015, 1.015, 1.015, 1.015, 1.015], False),  # certain, but within the margin
        ([1.6, 0.9, 1.5, 0.8, 1.4], False),  # large, but may be chance
    ],
)
def test_a_difference_is_declared_beyond_margin_and_chance(ratios, expected):
    control = resolution(np.log([1.0, 1.001, 0.999, 1.0, 1.0]))
    assert is_resolvable(np.log(ratios), control) is expected


def test_a_difference_within_what_equal_models_show_is_not_declared():
    noisy = resolution(np.log([1.2, 0.85, 1.1, 0.9, 1.0]))
    assert noisy.smallest_difference > 0.1
    assert not is_resolvable(np.log([1.10, 1.101, 1.099, 1.10, 1.10]), noisy)


def test_networks_that_agree_on_twenty_images_are_not_certainly_equal():
    right = np.ones(20, dtype=bool)
    found = matched_difference(right, right)
    # With the two imaginary images: variance 2/21 of 22, t(0.975, 21) = 2.0796.
    assert found.value == 0.0
    assert found.high == pytest.approx(2.0796 * math.sqrt(2 / 21 / 22), rel=1e-4)
    assert found.low == -found.high


def test_paired_difference_counts_only_images_on_which_the_two_differ():
    a, b = np.ones(100, dtype=bool), np.ones(100, dtype=bool)
    b[:9], a[9:10] = False, False
    found = matched_difference(a, b)
    # Discordant 9 and 1, each plus one: sum 8, squares 12, n 102; t(0.975, 101) = 1.98373.
    center, half = 8 / 102, 1.98373 * math.sqrt((12 - 64 / 102) / 101 / 102)
    assert found.value == pytest.approx(0.08)
    assert found.low == pytest.approx(center - half, abs=1e-6)
    assert found.high == pytest.approx(center + half, abs=1e-6)


def _simulated_processes(rng, *, spread=0.03, processes=5, samples=60):
    """Log-normal latencies whose processes differ; the true median is 1."""
    shifts = rng.normal(0, spread, processes)
    return [np.exp(shift + rng.normal(0, 0.05, samples)) for shift in shifts]


def test_intervals_of_the_median_cover_it_in_95_of_100_trials():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(600):
        found = geometric([float(np.median(p)) for p in _simulated_processes(rng)])
        covered += found.low <= 1.0 <= found.high
    assert 0.93 <= covered / 600 <= 0.97


def test_intervals_of_p90_cover_it_where_processes_differ():
    rng = np.random.default_rng(2)
    spread = math.hypot(0.03, 0.05)
    true = math.exp(1.2815516 * spread)  # of a sample from a random process
    covered = 0
    for _ in range(400):
        found = percentile(_simulated_processes(rng), 90)
        low, high = found.low or 0.0, math.inf if found.high is None else found.high
        covered += low <= true <= high
    assert covered / 400 >= 0.92


def test_equal_models_are_not_called_different():
    rng = np.random.default_rng(3)
    declared = sum(
        is_resolvable(rng.normal(0, 0.05, 5), resolution(rng.normal(0, 0.05, 5)))
        for _ in range(1000)
    )
    assert declared <= 2
