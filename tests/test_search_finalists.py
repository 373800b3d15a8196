"""The goals of finalists: whose files they are about, and what a bench says of each."""

import search_case
from compress.search.deployed import precision_of
from compress.search.finalists import (
    concerned,
    of_students,
    time_alone_is_open,
    verdict_of,
)
from compress_bench.verdict.goals import parse_goals

GOALS = parse_goals(
    {
        "student_int8": {
            "latency.p50": {"max": "5 ms"},
            "accuracy": {"max_drop": "1 pt"},
        },
        "teacher": {"size": {"max": "1 MB"}},
    },
    "goals",
)


def test_goals_of_candidates_are_those_on_students_each_with_what_it_is_compared_with():
    found = of_students(GOALS)
    assert [(goal.variant, goal.name, goal.vs) for goal in found] == [
        ("student_int8", "latency.p50", ""),
        ("student_int8", "accuracy", "teacher"),
    ]


def test_the_deployed_file_is_the_one_that_goals_are_about():
    assert precision_of(GOALS) == "int8"
    assert concerned(GOALS) == {"student_int8"}
    floats = parse_goals({"student": {"size": {"max": "1 MB"}}}, "goals")
    assert precision_of(floats) == "float32" and concerned(floats) == {"student"}
    elsewhere = parse_goals({"student_int8@openvino": {"size": {"max": "1 MB"}}}, "goals")
    assert precision_of(elsewhere) == "int8"
    against = {"student_int8": {"speedup.p50": {"min": 2, "vs": "student"}}}
    assert concerned(parse_goals(against, "goals")) == {"student", "student_int8"}


def _entry(variant, metric, bound, limit, status, vs=None):
    return {
        "variant": variant,
        "metric": metric,
        "bound": bound,
        "limit": limit,
        "vs": vs,
        "value": limit,
        "status": status,
    }


def _report(*statuses):
    """Of two candidates: latency and accuracy of a, then of b."""
    variant = {"latency": None, "accuracy": None, "size_bytes": 7}
    kinds = (("latency.p50", "max", 0.005, None), ("accuracy", "max_drop", 0.01, "teacher"))
    judged = [
        _entry(f"{name}_int8", metric, bound, limit, next(left), vs)
        for left in [iter(statuses)]
        for name in "ab"
        for metric, bound, limit, vs in kinds
    ]
    variants = dict.fromkeys(("teacher", "a_int8", "b_int8"), variant)
    return {"variants": variants, "verdict": {"goals": judged}}


def test_a_finalists_verdict_calls_its_files_as_the_users_goals_do():
    report = _report("pass", "fail", "pass", "pass")
    found = verdict_of(report, of_students(GOALS), "a")
    assert [(one["variant"], one["status"]) for one in found["goals"]] == [
        ("student_int8", "pass"),
        ("student_int8", "fail"),
    ]
    assert found["met"] == "fail" and found["deployed"]["size_bytes"] == 7
    assert verdict_of(report, of_students(GOALS), "b")["met"] == "pass"


def _open(*statuses):
    goals = of_students(GOALS)
    verdicts = {name: verdict_of(_report(*statuses), goals, name) for name in "ab"}
    return time_alone_is_open({**verdicts, "teacher": None}, goals)


def test_files_are_measured_again_where_nothing_but_a_time_is_open():
    assert _open("inconclusive", "pass", "fail", "fail")
    assert not _open("inconclusive", "pass", "pass", "pass")  # b has won already
    assert not _open("inconclusive", "fail", "fail", "fail")
    assert not _open("pass", "inconclusive", "fail", "fail")  # more time decides no accuracy


def test_the_goals_of_a_race_are_made_by_hand_as_a_file_would_make_them():
    written = parse_goals({"student_int8": {"accuracy": {"min": "80 %"}}}, "goals")
    assert written == (search_case.accuracy_goal(0.8),)
