"""Statistics of latency and accuracy, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from compress_bench.statistics import (
    FLOORS,
    Estimate,
    declared,
    geometric,
    independent_difference,
    independent_ratio,
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


def test_a_percentile_lies_between_the_samples_at_the_shares_that_t_bounds():
    # 100 samples a process; of 1 .. 100 shifted by -2 .. 2, those up to 90 are 92, 91, 90, 89, 88.
    processes = [np.arange(1.0, 101.0) + shift for shift in (-2, -1, 0, 1, 2)]
    found = percentile(processes, 90)
    # Shares .92 .. .88: sd sqrt(.00025); t(0.975, 4) = 2.776445; half = 2.776445 sd / sqrt 5.
    half = 2.776445 * math.sqrt(0.00025 / 5)
    pooled = np.sort(np.concatenate(processes))
    assert found.value == 90.0 == pooled[450 - 1]
    assert found.low == pytest.approx(_between(pooled, (0.9 - half) * 500), abs=1e-6)
    assert found.high == pytest.approx(_between(pooled, (0.9 + half) * 500 + 1), abs=1e-6)


def _between(ordered, rank):
    """The sample of that rank (from 1), or the share of the way to the next."""
    whole = int(rank)
    return ordered[whole - 1] + (rank - whole) * (ordered[whole] - ordered[whole - 1])


def test_processes_that_differ_widen_the_bounds_of_a_percentile():
    rng = np.random.default_rng(0)
    alike = [rng.normal(10, 1, 400) for _ in range(5)]
    unlike = [samples + 0.2 * i for i, samples in enumerate(alike)]
    narrow, wide = percentile(alike, 90), percentile(unlike, 90)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_process_that_was_cut_short_counts_as_much_as_a_whole_one():
    long, short = np.arange(1.0, 101.0), np.full(5, 200.0)
    # The short one is a fifth of the processes: p90 is amid its samples, not at the 90th of 405.
    assert percentile([long, long, long, long, short], 90).value == 200.0


def test_a_percentile_beyond_all_samples_has_no_bound_and_says_so():
    rng = np.random.default_rng(0)
    found = percentile([rng.normal(0, 1, 20) + 3 * (i == 0) for i in range(5)], 90)
    assert found.high is None
    assert "do not bound p90" in found.reason


def test_a_geometric_mean_has_students_interval_on_the_logs():
    # logs of 1/4, 1/2, 1, 2, 4: mean 0, sd sqrt(2.5) ln 2; t(0.975, 4) = 2.776445.
    half = 2.776445 * math.sqrt(2.5 / 5) * math.log(2)
    found = geometric([0.25, 0.5, 1.0, 2.0, 4.0])
    assert found.value == pytest.approx(1.0)
    assert found.low == pytest.approx(math.exp(-half), rel=1e-6)
    assert found.high == pytest.approx(math.exp(half), rel=1e-6)


def test_four_processes_have_a_value_but_no_bounds_and_say_why():
    four = [np.arange(1.0, 100.0)] * 4
    for found in (geometric([3.0] * 4), ratio(np.full(4, 0.1)), percentile(four, 50)):
        assert found.value is not None
        assert (found.low, found.high) == (None, None)
        assert "at least 5 fresh processes, found 4; give --processes 5" in found.reason


def test_a_spread_beyond_floating_point_leaves_the_bounds_open():
    found = geometric([1e-300, 1e300, 1e-300, 1e300, 1.0])
    assert (found.low, found.high) == (None, None)
    assert "too unlike" in found.reason


def test_ratios_are_of_block_medians_and_averaged_over_rounds():
    rounds = [
        {"a": np.array([4.0, 400.0, 4.0]), "b": np.array([1.0, 1.0, 1.0])},  # ratio 4
        {"a": np.array([9.0]), "b": np.array([1.0])},  # ratio 9
    ]
    (found,) = log_ratios([rounds], "a", "b")
    assert math.exp(found) == pytest.approx(6.0)  # sqrt(4 * 9)


def test_pairing_within_rounds_cancels_what_both_models_suffer():
    rounds = [{"a": pace * np.ones(5), "b": pace * np.ones(5) / 3} for pace in (1, 2, 5)]
    found = ratio(log_ratios([rounds, rounds[:2], rounds, rounds, rounds], "a", "b"))
    assert found.low == pytest.approx(3.0) and found.high == pytest.approx(3.0)


def test_a_perfect_machine_still_declares_nothing_below_the_margin():
    assert resolution(np.zeros(5)).smallest_difference == 0.02


def test_four_processes_resolve_nothing_and_say_so():
    found = resolution(np.array([0.001, -0.001, 0.0, 0.0]))
    assert found.smallest_difference is None
    assert "at least 5 fresh processes" in found.reason
    assert declared(np.log([2.0, 2.0, 2.0, 2.0]), found) == "no difference can be told"


def test_the_control_resolves_what_its_farther_bound_leaves():
    # logs 0.01 apart around 0.01: mean 0.01, sd 0.01 sqrt 2.5; t(0.9995, 4) = 8.610302.
    half = 8.610302 * 0.01 * math.sqrt(2.5 / 5)
    found = resolution(np.array([-0.01, 0.0, 0.01, 0.02, 0.03]))
    assert found.smallest_difference == pytest.approx(math.exp(0.01 + half) - 1, rel=1e-6)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.10, 1.101, 1.099, 1.10, 1.10], "faster"),
        ([0.90, 0.901, 0.899, 0.90, 0.90], "slower"),
        # certain, but within the margin
        ([1.015, 1.015, 1.015, 1.015, 1.015], "no difference can be told"),
        # large, but may be chance: at 95 % it is beyond 1, at 99.9 % it is not
        ([1.30, 1.05, 1.2, 1.1, 1.15], "no difference can be told"),
    ],
)
def test_a_difference_is_declared_beyond_margin_and_chance(ratios, expected):
    control = resolution(np.log([1.0, 1.001, 0.999, 1.0, 1.0]))
    assert declared(np.log(ratios), control) == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_within_what_equal_models_show_is_not_declared_in_either_direction(sign):
    # The control leans one way; the machine may lean the other way next time.
    leaning = resolution(np.log([1.12, 1.10, 1.08, 1.11, 1.09]))
    assert leaning.smallest_difference > 0.1
    logs = sign * np.log([1.10, 1.101, 1.099, 1.10, 1.10])
    assert declared(logs, leaning) == "no difference can be told"


def test_a_ratio_of_values_measured_apart_adds_the_squares_of_their_log_widths():
    new, old = Estimate(2.2, 2.0, 2.42), Estimate(1.0, 1 / 1.2, 1.2)
    found = independent_ratio(new, old)
    half = math.hypot(math.log(1.1), math.log(1.2))
    assert found.value == pytest.approx(2.2)
    assert found.low == pytest.approx(2.2 * math.exp(-half))
    assert found.high == pytest.approx(2.2 * math.exp(half))


def test_accuracies_on_other_images_differ_with_newcombes_interval():
    # The published example: 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339.
    found = independent_difference((56, 70), (48, 80))
    assert found.value == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


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


def test_equal_models_are_not_called_different():
    rng = np.random.default_rng(3)
    called = [
        declared(rng.normal(0, 0.05, 5), resolution(rng.normal(0, 0.05, 5))) for _ in range(1000)
    ]
    assert called.count("no difference can be told") >= 999


def test_a_tenth_more_work_is_called_slower_on_a_quiet_machine():
    rng = np.random.default_rng(4)  # processes whose ratios differ by 1 %
    called = [
        declared(rng.normal(-math.log(1.1), 0.01, 5), resolution(rng.normal(0, 0.01, 5)))
        for _ in range(1000)
    ]
    assert called.count("slower") >= 990
    assert called.count("faster") == 0
