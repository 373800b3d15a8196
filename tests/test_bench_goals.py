"""Goals: how they are written, what is refused, and the three verdicts."""

import math

import pytest

import bench_models
from compress.errors import UsageError
from compress_bench.goals import check_goals, judge, judge_goals, overall, parse_goals, read_goals
from compress_bench.statistics import Estimate

DESIGN = """
[student_int8]
"latency.p50" = { max = "5 ms" }
"speedup.p50" = { min = 3, vs = "teacher" }
"size"        = { max = "200 kB" }
"accuracy"    = { max_drop = "1 pt", vs = "teacher" }
"""


def one(metric, limits, variant="student"):
    (goal,) = parse_goals({variant: {metric: limits}}, "goals.toml")
    return goal


def test_the_goals_of_the_documentation_are_read(tmp_path):
    path = tmp_path / "goals.toml"
    path.write_text(DESIGN)
    found = [(g.name, g.bound, g.limit, g.vs) for g in read_goals(path)]
    assert found == [
        ("latency.p50", "max", 0.005, ""),
        ("speedup.p50", "min", 3.0, "teacher"),
        ("size", "max", 200_000.0, ""),
        ("accuracy", "max_drop", 0.01, "teacher"),
    ]


@pytest.mark.parametrize(
    ("metric", "key", "written", "limit"),
    [
        ("latency.p99", "max", "250us", 250e-6),
        ("latency.p90", "max", "250 µs", 250e-6),
        ("latency.p50", "max", "900000 ns", 900e-6),
        ("latency.p95", "max", "0.2 s", 0.2),
        ("size", "max", "512 B", 512),
        ("size", "max", "1.5MB", 1.5e6),
        ("memory", "max", "20 MiB", 20 * 2**20),
        ("memory", "max", "64 KiB", 65536),
        ("memory", "max", "1 GB", 1e9),
        ("accuracy", "min", "90 %", 0.9),
        ("accuracy", "min", 0.9, 0.9),
        ("accuracy", "max_drop", "0.5 pt", 0.005),
        ("accuracy", "max_drop", "0 pt", 0.0),
        ("agreement", "min", "95%", 0.95),
        ("worst_class", "min", "70 %", 0.7),
        ("speedup.p50", "min", "2.5x", 2.5),
        ("throughput", "min", 100, 100),
        ("parameters", "max", "50 k", 50_000),
    ],
)
def test_limits_carry_their_units(metric, key, written, limit):
    assert one(metric, {key: written}).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("metric", "limits", "message"),
    [
        ("latncy.p50", {"max": "5 ms"}, 'did you mean "latency.p50"'),
        ("latency", {"max": "5 ms"}, 'did you mean "latency.p'),
        ("latency.p42", {"max": "5 ms"}, "unknown metric"),
        ("size.p50", {"max": "5 kB"}, "unknown metric"),
        ("confusion", {"max": 1}, "unknown metric"),
        ("latency.p50", {"maximum": "5 ms"}, 'unknown key "maximum"; did you mean "max"'),
        ("latency.p50", {"min": "5 ms"}, 'unknown key "min"'),
        ("latency.p50", {"max": "5 mss"}, 'unknown unit "mss"; did you mean "ms"'),
        ("size", {"max": "200 KB"}, 'did you mean "kB"'),
        ("size", {"max": "200 ms"}, 'unknown unit "ms"'),
        ("latency.p50", {"max": 5}, 'has no unit; write "5 ms"'),
        ("latency.p50", {"max": "fast"}, "expected a number"),
        ("latency.p50", {"max": "1.2.3 ms"}, "expected a number"),
        ("latency.p50", {"max": True}, "expected a number"),
        ("latency.p50", {"max": math.inf}, "expected a number"),
        ("latency.p50", {"max": "-5 ms"}, "above zero"),
        ("latency.p50", {"max": "0 ms"}, "above zero"),
        ("accuracy", {"min": 90}, "at most 100 %"),
        ("accuracy", {"max_drop": "1 %"}, 'write "1 pt"'),
        ("accuracy", {"max_drop": 0.01}, 'write "1 pt"'),
        ("accuracy", {"min": "90 %", "vs": "teacher"}, "vs makes no sense"),
        ("speedup.p50", {"min": 3, "vs": 4}, "expected a variant's name"),
        ("speedup.p50", {"vs": "teacher"}, "expected a limit"),
        ("size", "200 kB", "expected a table"),
    ],
)
def test_what_is_not_documented_is_refused_with_a_hint(metric, limits, message):
    with pytest.raises(UsageError) as caught:
        one(metric, limits)
    assert message in str(caught.value)
    assert str(caught.value).startswith("goals.toml: student")


def test_two_limits_of_one_metric_are_two_goals():
    goals = parse_goals({"student": {"accuracy": {"min": "90 %", "max_drop": "1 pt"}}}, "recipe")
    assert [goal.bound for goal in goals] == ["min", "max_drop"]


def test_a_file_that_is_not_toml_is_a_usage_error(tmp_path):
    path = tmp_path / "goals.toml"
    path.write_text("student = {")
    with pytest.raises(UsageError, match="not TOML"):
        read_goals(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_goals(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("goals", "has_images", "message"),
    [
        ({"studnet": {"size": {"max": "1 MB"}}}, True, 'did you mean "student"'),
        ({"student": {"speedup.p50": {"min": 2, "vs": "teecher"}}}, True, 'mean "teacher"'),
        ({"teacher": {"speedup.p50": {"min": 2}}}, True, "compared with itself"),
        ({"student": {"accuracy": {"min": "90 %"}}}, False, "give --data"),
    ],
)
def test_goals_that_cannot_be_judged_are_refused_before_measuring(goals, has_images, message):
    with pytest.raises(UsageError, match=message):
        check_goals(
            parse_goals(goals, "goals"), ["teacher", "student"], "teacher", has_images=has_images
        )


@pytest.mark.parametrize(
    ("metric", "limits", "low", "high", "status"),
    [
        ("latency.p50", {"max": "5 ms"}, 0.003, 0.005, "pass"),
        ("latency.p50", {"max": "5 ms"}, 0.003, 0.0051, "inconclusive"),
        ("latency.p50", {"max": "5 ms"}, 0.005, 0.006, "inconclusive"),
        ("latency.p50", {"max": "5 ms"}, 0.0051, 0.006, "fail"),
        ("speedup.p50", {"min": 3}, 3.0, 4.0, "pass"),
        ("speedup.p50", {"min": 3}, 2.9, 4.0, "inconclusive"),
        ("speedup.p50", {"min": 3}, 2.0, 3.0, "inconclusive"),
        ("speedup.p50", {"min": 3}, 2.0, 2.9, "fail"),
        ("accuracy", {"max_drop": "1 pt"}, -0.002, 0.01, "pass"),
        ("accuracy", {"max_drop": "1 pt"}, 0.011, 0.02, "fail"),
        ("latency.p50", {"max": "5 ms"}, None, None, "inconclusive"),
        ("latency.p90", {"max": "5 ms"}, 0.006, None, "fail"),
        ("latency.p90", {"max": "5 ms"}, 0.001, None, "inconclusive"),
    ],
)
def test_the_whole_interval_decides(metric, limits, low, high, status):
    value = 0.004 if low is None else low
    assert judge(one(metric, limits), Estimate(value, low, high))["status"] == status


def test_a_verdict_reads_as_a_sentence_with_value_interval_and_limit():
    found = judge(one("latency.p50", {"max": "5 ms"}), Estimate(0.0061, 0.006, 0.0062))
    assert found["sentence"] == (
        "student latency.p50: 6.1 ms (6 ms to 6.2 ms at 95 %), wanted at most 5 ms: missed."
    )
    assert "--int8" in found["remedy"]


def test_an_unmeasured_value_is_undecided_and_says_why():
    found = judge(one("memory", {"max": "5 MB"}), Estimate(None, None, None, reason="no kernel"))
    assert found["status"] == "inconclusive"
    assert "not measured (no kernel)" in found["sentence"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "no_goals"),
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_the_worst_goal_decides_overall(statuses, expected):
    assert overall(statuses) == expected


def test_measured_goals_pass_fail_and_stay_open():
    goals = parse_goals(
        {
            "student": {
                "latency.p50": {"max": "2 ms"},  # 1.25 ms
                "speedup.p50": {"min": 3},  # 4
                "size": {"max": "50 kB"},  # 100 kB
                "memory": {"max": "1.005 MB"},  # 1.000 to 1.010 MB
                "accuracy": {"max_drop": "1 pt", "vs": "teacher"},  # 2 of 100 wrong
                "agreement": {"min": "80 %"},
                "worst_class": {"min": "50 %"},
                "throughput": {"min": 100},
                "parameters": {"max": 4000},  # 5000
            }
        },
        "goals",
    )
    verdict = judge_goals(goals, bench_models.evidence())
    assert [goal["status"] for goal in verdict["goals"]] == [
        "pass",
        "pass",
        "fail",
        "inconclusive",
        "inconclusive",
        "pass",
        "pass",
        "pass",
        "fail",
    ]
    assert verdict["status"] == "fail"
    assert [goal["vs"] for goal in verdict["goals"]][1] == "teacher"


def test_memory_that_the_system_does_not_tell_leaves_its_goal_open():
    (goal,) = parse_goals({"student": {"memory": {"max": "1 GB"}}}, "goals")
    verdict = judge_goals([goal], bench_models.evidence(model_bytes=None))
    assert verdict["status"] == "inconclusive"
