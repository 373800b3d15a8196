"""Intervals against tables, numbers worked out by hand, and their own promise of coverage."""

import json

import numpy as np
import pytest

from compress.intervals import (
    normal_quantile,
    paired_difference,
    t_interval,
    t_quantile,
    wilson,
)

T_1, T_4 = 12.706205, 2.776445  # Student's table, 97.5 %


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_bounds(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert interval.value == successes / trials
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_bounds_end_at_0_and_1():
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0


def test_wilson_mirrors_right_and_wrong():
    right, wrong = wilson(13, 40), wilson(27, 40)
    assert (right.low, right.high) == pytest.approx((1 - wrong.high, 1 - wrong.low))


def test_wilson_of_no_trials_is_refused():
    with pytest.raises(ValueError, match="at least 1, found 0"):
        wilson(0, 0)


def test_quantiles_are_those_of_the_tables():
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(0.975, 4) == pytest.approx(T_4, abs=1e-6)
    assert t_quantile(0.975, 1) == pytest.approx(T_1, abs=1e-6)


def test_the_t_interval_of_1_to_5():
    interval = t_interval(np.arange(1.0, 6.0))
    half = T_4 * np.sqrt(2.5 / 5)  # variance 2.5, five values
    assert interval.value == 3.0
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half), abs=1e-6)


def test_a_single_value_has_an_infinite_t_interval():
    interval = t_interval(np.array([2.0]))
    assert (interval.low, interval.value, interval.high) == (-np.inf, 2.0, np.inf)


def test_the_interval_is_json():
    assert wilson(1, 2, 0.9).to_dict().keys() == {"value", "low", "high", "confidence"}
    assert wilson(1, 2, 0.9).to_dict()["confidence"] == 0.9


def half_width(a, b=None):
    interval = paired_difference(a, np.zeros_like(a) if b is None else b)
    assert interval.high - interval.value == pytest.approx(interval.value - interval.low)
    return interval.high - interval.value


def test_one_seed_gives_the_t_interval_over_images():
    a, b = np.array([2, 1, 0, 1, 1, 0]), np.array([0, 1, 0, 0, 1, 1])
    paired, plain = paired_difference(a, b), t_interval((a - b).astype(float))
    assert (paired.value, paired.low, paired.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_one_image_gives_the_t_interval_over_seeds():
    column = np.array([[1.0], [2.0], [4.0]])
    plain = t_interval(column.ravel())
    assert half_width(column) == pytest.approx(plain.high - plain.value)


def test_effects_of_seeds_and_images_that_only_add_up_widen_as_squares():
    # Seeds +3 and -3, images +4 and -4: standard errors 3 and 4, one degree of freedom each.
    assert half_width(np.array([[7.0, -1.0], [1.0, -7.0]])) == pytest.approx(T_1 * 5, abs=1e-4)


def test_what_is_in_both_spreads_is_counted_once():
    # Seed means 1 and -1/3: standard error 2/3. Image means 1, 0, 0: variance of the mean 1/9,
    # and the residuals (sum of squares 4/3, two degrees of freedom) explain just that 1/9.
    assert half_width(np.array([[2.0, 0.0, 1.0], [0.0, 0.0, -1.0]])) == pytest.approx(
        T_1 * 2 / 3, abs=1e-4
    )


def test_seeds_that_agree_by_chance_do_not_narrow_what_images_show():
    # Both seeds have the mean 0, so all spread is between images: means 1 and -1, t = 12.7.
    assert half_width(np.array([[1.0, -1.0], [1.0, -1.0]])) == pytest.approx(T_1, abs=1e-4)


def test_the_difference_is_a_minus_b_and_swaps_its_sign():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 3, 50))
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert one.value == pytest.approx(a.mean() - b.mean())
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_equal_scores_differ_by_exactly_nothing():
    same = np.random.default_rng(0).normal(size=(3, 40))
    interval = paired_difference(same, same)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.0, 0.0)


def test_networks_that_never_disagree_are_equal_up_to_one_more_disagreement_each_way():
    same = np.arange(20) % 2
    found = paired_difference(same, same)
    # 20 differences of 0, and one each of 1 and -1: squares 2, 21 degrees; t(0.975, 21) = 2.0796.
    half = 2.0796 * np.sqrt(2 / 21 / 22)
    assert (found.low, found.value, found.high) == pytest.approx((-half, 0.0, half), abs=1e-5)


def test_seeds_that_never_disagree_have_the_interval_of_one():
    same = np.arange(20) % 2
    one, three = paired_difference(same, same), paired_difference(*[np.tile(same, (3, 1))] * 2)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_the_imaginary_images_move_the_bounds_and_not_the_value():
    a, b = np.ones(100), np.ones(100)
    b[:9], a[9:10] = 0, 0
    found = paired_difference(a, b)
    # Discordant 9 and 1, each plus one: sum 8, squares 12, n 102; t(0.975, 101) = 1.98373.
    center, half = 8 / 102, 1.98373 * np.sqrt((12 - 64 / 102) / 101 / 102)
    assert found.value == pytest.approx(0.08)
    assert (found.low, found.high) == pytest.approx((center - half, center + half), abs=1e-6)


def test_accuracies_never_differ_by_more_than_1():
    found = paired_difference(np.ones((2, 3)), np.zeros((2, 3)))
    assert (found.value, found.high) == (1.0, 1.0)
    assert -1.0 <= found.low < 1.0


def test_booleans_are_counted_as_0_and_1():
    a, b = np.array([[True, False, True]]), np.array([[False, False, True]])
    assert paired_difference(a, b).value == pytest.approx(1 / 3)


def test_a_single_score_says_nothing_about_spread():
    interval = paired_difference(np.array([1.5]), np.array([0.0]))
    assert (interval.low, interval.high) == (-np.inf, np.inf)


def test_a_single_answer_leaves_every_difference_possible():
    # Differences 1, 1 and -1: mean 1/3, standard error 2/3, t(0.975, 2) = 4.30.
    interval = paired_difference(np.array([1]), np.array([0]))
    assert (interval.low, interval.value, interval.high) == (-1.0, 1.0, 1.0)


def test_bounds_that_could_not_be_had_are_null_in_json_with_the_reason():
    found = json.loads(json.dumps(t_interval(np.array([2.0])).to_dict(), allow_nan=False))
    assert (found["value"], found["low"], found["high"]) == (2.0, None, None)
    assert found["reason"] == "one observation tells nothing about the spread"


@pytest.mark.parametrize(
    ("seed_sd", "image_sd", "residual_sd"),
    [(0.0, 1.0, 1.0), (0.05, 1.0, 1.0), (0.1, 0.5, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 1.0)],
)
def test_95_percent_intervals_cover_the_truth_95_to_99_percent_of_the_time(
    seed_sd, image_sd, residual_sd
):
    rng = np.random.default_rng(17)
    trials, seeds, images, truth = 600, 5, 500, 0.3
    covered = 0
    for _ in range(trials):
        effects = rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, image_sd, (1, images))
        scores = truth + effects + rng.normal(0, residual_sd, (seeds, images))
        interval = paired_difference(scores, np.zeros_like(scores))
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / trials <= 0.99


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_intervals_of_rare_disagreements_cover_the_truth(seeds):
    """Only a names an image right in 1 answer of 100: the images at hand often show none."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(600):
        draw = rng.random((seeds, 60))
        found = paired_difference(draw < 0.015, (draw > 0.005) & (draw < 0.01))
        covered += found.low <= 0.01 <= found.high
    assert covered / 600 >= 0.95
