"""The Pareto front of candidates, by hand."""

from compress.search.front import Point, beats, front, layers, ranked


def _point(name, accuracy, size, latency=None):
    return Point(name=name, accuracy=accuracy, size_bytes=size, latency=latency)


SMALL = _point("small", 0.70, 10, 1.0)
LARGE = _point("large", 0.90, 40, 4.0)
SLOW = _point("slow", 0.90, 40, 5.0)  # as LARGE, slower
WORSE = _point("worse", 0.60, 20, 2.0)  # beaten by SMALL
WORST = _point("worst", 0.50, 30, 3.0)  # beaten by WORSE as well


def test_a_point_is_beaten_by_one_that_is_nowhere_worse_and_somewhere_better():
    assert beats(SMALL, WORSE)
    assert beats(LARGE, SLOW)
    assert not beats(SMALL, LARGE) and not beats(LARGE, SMALL)
    assert not beats(SMALL, SMALL)


def test_time_counts_only_where_both_were_timed():
    untimed = _point("untimed", 0.90, 40)
    assert not beats(LARGE, untimed) and not beats(untimed, LARGE)
    assert beats(_point("smaller", 0.90, 39), untimed)


def test_the_front_holds_what_nothing_beats():
    assert front([WORST, SLOW, LARGE, WORSE, SMALL]) == [LARGE, SMALL]


def test_layers_are_the_front_and_the_fronts_of_what_is_left():
    found = layers([SMALL, WORSE, LARGE, SLOW, WORST])
    assert found == [[SMALL, LARGE], [WORSE, SLOW], [WORST]]


def test_equal_points_share_a_layer():
    twin = _point("twin", 0.70, 10, 1.0)
    assert layers([SMALL, twin]) == [[SMALL, twin]]


def test_the_front_goes_first_and_within_a_layer_the_more_accurate():
    assert ranked([SMALL, WORSE, LARGE, SLOW, WORST]) == [
        "large",
        "small",
        "slow",
        "worse",
        "worst",
    ]
