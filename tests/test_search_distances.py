"""How far candidates are from goals that they miss, by hand."""

import pytest

import search_case
from compress.search.distances import distance, distances, miss, nearest


def _entry(metric, bound, limit, value, status="fail", vs=None):
    return {
        "variant": "student_int8",
        "metric": metric,
        "bound": bound,
        "limit": limit,
        "value": value,
        "low": value,
        "high": value,
        "vs": vs,
        "status": status,
        "sentence": "",
    }


def _candidate(name, *entries):
    return search_case.candidate(name, 1) | {"goals": list(entries)}


def test_a_size_is_missed_by_its_ratio_to_the_limit():
    assert miss(_entry("size", "max", 50_000, 75_000)) == pytest.approx(0.5)
    assert miss(_entry("size", "max", 50_000, 40_000)) == 0


def test_a_speed_up_is_missed_by_the_ratio_that_it_lacks():
    assert miss(_entry("speedup.p50", "min", 3.0, 2.0)) == pytest.approx(0.5)


def test_an_accuracy_is_missed_by_points():
    assert miss(_entry("accuracy", "min", 0.90, 0.85)) == pytest.approx(0.05)
    assert miss(_entry("accuracy", "max_drop", 0.01, 0.04)) == pytest.approx(0.03)


def test_a_candidate_is_as_far_as_the_goal_that_it_misses_most():
    found = _candidate("a", _entry("size", "max", 10, 12), _entry("accuracy", "min", 0.9, 0.8))
    assert distance(found) == pytest.approx(0.2)


def test_for_a_goal_that_nobody_meets_the_nearest_is_named_with_its_distance():
    found = distances(
        [
            _candidate("a", _entry("size", "max", 50_000, 100_000)),
            _candidate("b", _entry("size", "max", 50_000, 60_000)),
        ]
    )
    assert [(one["best"], one["value"], one["limit"]) for one in found] == [("b", 60_000, 50_000)]
    assert found[0]["goal"] == "student_int8 size at most 50 kB"
    assert found[0]["sentence"] == (
        "student_int8 size at most 50 kB: b comes nearest with 60 kB, 1.2 times the limit"
    )


def test_where_each_goal_is_met_by_somebody_those_that_the_nearest_misses_are_told():
    drop = ("accuracy", "max_drop", 0.01)
    candidates = [
        _candidate("a", _entry("size", "max", 10, 9, "pass"), _entry(*drop, 0.03, vs="teacher")),
        _candidate("b", _entry("size", "max", 10, 20), _entry(*drop, 0.00, "pass", vs="teacher")),
    ]
    assert nearest(candidates)["name"] == "a"
    (found,) = distances(candidates)
    assert found["sentence"] == (
        "student_int8 accuracy a drop of at most 1.00 pt against teacher: a comes nearest with "
        "3.00 pt, 2.00 points from the limit"
    )


def test_a_limit_inside_the_interval_is_told_as_such():
    entry = _entry("size", "max", 10, 9, "inconclusive")
    assert (
        "whose interval does not keep the limit"
        in distances([_candidate("a", entry)])[0]["sentence"]
    )


def test_what_was_not_measured_has_no_distance():
    candidates = [_candidate("a", _entry("latency.p50", "max", 0.001, None, "inconclusive"))]
    assert distances(candidates)[0]["sentence"].endswith("not measured of a")
