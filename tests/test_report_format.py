import math

import pytest

from compress_bench.report.format import (
    Estimate,
    count,
    percent,
    points,
    ratio,
    seconds,
    short_seconds,
    short_size,
    size,
)

MU = "\N{GREEK SMALL LETTER MU}"
TO = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00 s"),
        (12.34, "12.3 s"),
        (1.0, "1.00 s"),
        (0.0034125, "3.41 ms"),
        (0.05, "50.0 ms"),
        (0.000181, f"181 {MU}s"),
        (0.0009996, "1.00 ms"),  # not "1000 us"
        (0.0000000421, "42.1 ns"),
    ],
)
def test_seconds_have_three_digits_and_the_unit_that_fits(value, text):
    assert seconds(Estimate(value)).text == text


def test_bounds_share_the_unit_and_the_decimals_of_their_value():
    shown = seconds(Estimate(0.00341, 0.000984, 0.0125))
    assert shown.full == f"3.41 ms (0.98{TO}12.50)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (70_884, "70.9 kB"),
        (999_999, "1.00 MB"),
        (1_101_204, "1.10 MB"),
        (8_331_000_000, "8.33 GB"),
    ],
)
def test_sizes_are_decimal_as_goals_write_them(value, text):
    assert size(value) == text


def test_a_fraction_is_shown_as_percent_with_its_interval():
    assert percent(Estimate(0.879, 0.864, 0.892)).full == f"87.9 % (86.4{TO}89.2)"


def test_points_with_a_negative_bound_say_to_instead_of_a_dash():
    assert points(Estimate(-0.004, -0.012, 0.004)).full == "-0.4 points (-1.2 to 0.4)"


def test_signed_points_have_a_plus_only_above_zero():
    assert points(Estimate(0.012), signed=True).text == "+1.2 points"
    assert points(Estimate(0.0001), signed=True).text == "0.0 points"


def test_a_value_that_rounds_to_zero_has_no_minus():
    assert points(Estimate(-0.0004)).text == "0.0 points"


@pytest.mark.parametrize(
    ("value", "text"), [(1.0049, "1.00"), (9.996, "10.0"), (18.85, "18.9"), (304.2, "304")]
)
def test_a_ratio_has_three_digits(value, text):
    assert ratio(Estimate(value)).text == f"{text}\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(("low", "high"), [(None, 1.0), (1.0, None), (-math.inf, math.inf)])
def test_an_interval_without_two_finite_bounds_is_not_shown(low, high):
    assert ratio(Estimate(2.0, low, high)).bounds == ""


def test_whole_numbers_have_thousands_set_apart():
    assert count(1_272_474) == "1,272,474"


def test_axis_labels_have_no_empty_digits():
    assert (short_seconds(0.0005), short_size(50_000)) == (f"500 {MU}s", "50 kB")
