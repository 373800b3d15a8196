"""The gate against an old report: what fails, what passes, and what it cannot judge."""

import base64
import copy
import json
import math

import numpy as np
import pytest

from compress.errors import UsageError
from compress.settings import Bench, Run
from compress_bench.recipe import bench
from compress_bench.regression.gate import check_apart, check_baseline, gate, read_baseline
from compress_bench.regression.pair import machine_differences

MACHINE = {
    "machine": "x86_64",
    "cpu": "some processor",
    "cores": 2,
    "memory_bytes": 8_000_000_000,
    "onnxruntime": "1.20.0",
    "isa": ["avx2"],
    "emulated": False,
}
PACES = (1.0, 1.004, 1 / 1.004, 1.002, 1 / 1.002)  # of five processes


def report(variants, *, machine=None, flags=(), resolution=0.02, **settings):
    """What the gate reads of a report.json."""
    return {
        "created_utc": "2026-01-01T00:00:00+00:00",
        "machine": MACHINE | (machine or {}),
        "settings": {"reference": "teacher", "threads": 1, "batch_size": 1} | settings,
        "flags": list(flags),
        "resolution": {"smallest_difference": resolution},
        "verdict": {"status": "no_goals", "goals": []},
        "variants": variants,
    }


def variant(*, seconds=1e-3, size=100_000, sha="a", instructions=None, right=None, paces=PACES):
    """One variant; every process's inferences take its pace times `seconds`."""
    fields = {
        "size_bytes": size,
        "sha256": sha,
        "parameters": 5000,
        "samples_seconds": [[seconds * pace] * 5 for pace in paces],
        "accuracy": None,
        "instructions": None,
        "instructions_reason": "no counter here",
    }
    if instructions is not None:
        low, high = instructions * (1 - 1e-4), instructions * (1 + 1e-4)
        fields["instructions"] = {"value": instructions, "low": low, "high": high}
        fields["instructions_source"] = "perf_event"
    if right is not None:
        fields["accuracy"] = {"value": float(right.mean()), "n": len(right)}
        packed = base64.b64encode(np.packbits(right).tobytes()).decode()
        fields["answers"] = {"n": len(right), "right_base64": packed, "images_sha256": "i"}
    return fields


def judged(old, new, *, max_increase=0.5, **changes):
    """The gate on a teacher that did not change and a student."""
    then = report({"teacher": variant(), "student": old})
    now = report({"teacher": variant(), "student": new}, **changes)
    return gate(now, then, "old.json", max_increase)


def goal(found, metric, name="student"):
    (one,) = (g for g in found["verdict"]["goals"] if (g["metric"], g["variant"]) == (metric, name))
    return one


# ------------------------------------------------------------------------------- size, counts


@pytest.mark.parametrize(("size", "status"), [(100_500, "pass"), (100_501, "fail")])
def test_a_file_may_grow_by_half_a_percent(size, status):
    found = goal(judged(variant(), variant(size=size)), "size")
    assert (found["status"], found["limit"], found["vs"]) == (status, 100_500, "--baseline")


def test_a_grown_file_says_by_how_much_against_what():
    found = judged(variant(), variant(size=110_000))
    assert found["verdict"]["status"] == "fail"
    assert goal(found, "size")["sentence"] == (
        "student size: 110 kB, wanted at most 0.5 % more than the old report's 100 kB: missed."
    )
    assert "grew by 10.00 %" in goal(found, "size")["remedy"]


@pytest.mark.parametrize(
    ("instructions", "status"), [(1.002e9, "pass"), (1.005e9, "inconclusive"), (1.03e9, "fail")]
)
def test_instructions_may_grow_by_what_the_user_says_and_their_intervals_decide(
    instructions, status
):
    found = goal(
        judged(variant(instructions=1e9), variant(instructions=instructions)), "instructions"
    )
    assert found["status"] == status
    # Both counts are within 1e-4 of their value: the ratio within sqrt 2 of that.
    assert found["high"] == pytest.approx(instructions * (1 + math.sqrt(2) * 1e-4), rel=1e-7)


def test_instructions_that_another_counter_counted_are_not_compared():
    other = variant(instructions=1e9) | {"instructions_source": "valgrind"}
    found = goal(judged(variant(instructions=1e9), other), "instructions")
    assert found["status"] == "inconclusive"
    assert "counted by valgrind, baseline by perf_event" in found["sentence"]


def test_instructions_that_are_no_longer_counted_leave_the_gate_open():
    found = judged(variant(instructions=1e9), variant())
    assert "not counted now: no counter here" in goal(found, "instructions")["sentence"]
    assert found["verdict"]["status"] == "inconclusive"


# --------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("seconds", "status"), [(1e-3, "pass"), (0.8e-3, "pass"), (1.1e-3, "fail")]
)
def test_a_tenth_slower_fails_and_as_fast_passes(seconds, status):
    found = judged(variant(), variant(seconds=seconds, sha="b"))
    assert goal(found, "latency.p50")["status"] == found["verdict"]["status"] == status


def test_a_slowdown_below_what_a_report_resolves_is_not_called_one():
    found = judged(variant(), variant(seconds=1.1e-3), resolution=0.15)
    assert goal(found, "latency.p50")["status"] == "pass"
    assert "at most 15 % more than the old report's 1 ms" in goal(found, "latency.p50")["sentence"]


def test_a_slower_day_is_not_a_regression_while_the_reference_is_slower_too():
    then = report({"teacher": variant(), "student": variant()})
    now = report({"teacher": variant(seconds=2e-3), "student": variant(seconds=2e-3)})
    found = goal(gate(now, then, "old.json", 0.5), "latency.p50")
    assert found["status"] == "pass"
    assert found["value"] == pytest.approx(1e-3)  # at the old report's pace
    assert "at the pace of teacher, which did not change" in found["sentence"]


def changed_reference(*, old_flags=(), new_flags=(), seconds=1.1e-3):
    then = report({"teacher": variant(), "student": variant()}, flags=old_flags)
    students = {"teacher": variant(sha="b"), "student": variant(seconds=seconds)}
    return goal(gate(report(students, flags=new_flags), then, "old.json", 0.5), "latency.p50")


@pytest.mark.parametrize("flag", ["contended", "stolen", "frequency"])
def test_without_a_yardstick_slower_beside_other_work_is_undecided(flag):
    found = changed_reference(new_flags=[flag])
    assert found["status"] == "inconclusive"
    assert f"this run's times are upper bounds ({flag})" in found["sentence"]


def test_without_a_yardstick_as_fast_as_a_disturbed_baseline_is_undecided():
    found = changed_reference(old_flags=["contended"], seconds=1e-3)
    assert found["status"] == "inconclusive"
    assert "the old report's times are upper bounds" in found["sentence"]


def test_without_a_yardstick_and_disturbance_the_times_themselves_decide():
    assert changed_reference()["status"] == "fail"
    assert changed_reference(seconds=1e-3)["status"] == "pass"


@pytest.mark.parametrize("seconds", [1e-3, 1.1e-3])
def test_no_time_is_decided_that_a_time_cap_cut_short(seconds):
    found = judged(variant(), variant(seconds=seconds), flags=["time_cap"])
    assert goal(found, "latency.p50")["status"] == "inconclusive"
    assert "the time cap cut this run's rounds short" in goal(found, "latency.p50")["sentence"]
    assert goal(found, "latency.p50")["remedy"] == "give a longer --time-cap"


def test_a_time_cap_that_cut_something_else_does_not_touch_the_times():
    old, new = (report({"teacher": variant(), "student": variant()}) for _ in range(2))
    new |= {"flags": ["time_cap"], "environment": [{}] * 50}
    new["settings"] |= {"processes": 5, "rounds": 10}
    assert goal(gate(new, old, "old.json", 0.5), "latency.p50")["status"] == "pass"


def test_a_baseline_of_few_processes_tells_nothing_of_time():
    found = judged(variant(), variant(), resolution=None)
    assert "this run has too few processes" in goal(found, "latency.p50")["sentence"]
    assert goal(found, "latency.p50")["remedy"] == "give --processes 5"


NOISY = (1.0, 1.4, 0.7, 1.2, 0.85)


def test_noisy_time_alone_leaves_the_gate_open():
    found = judged(variant(), variant(paces=NOISY))
    assert goal(found, "latency.p50")["status"] == found["verdict"]["status"] == "inconclusive"


@pytest.mark.parametrize(("instructions", "status"), [(1e9, "pass"), (1.03e9, "fail")])
def test_the_instructions_decide_what_noisy_time_cannot(instructions, status):
    found = judged(variant(instructions=1e9), variant(paces=NOISY, instructions=instructions))
    time = goal(found, "latency.p50")
    assert (time["status"], time["decides"]) == ("inconclusive", False)
    assert time["remedy"] == "nothing: the instructions decide"
    assert found["verdict"]["status"] == status


# ----------------------------------------------------------------------------------- machines


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"memory_bytes": 8_100_000_000}, []),  # what a kernel keeps for itself
        ({"onnxruntime": "1.21.0"}, []),
        ({"cores": 4}, ["cores 4, baseline 2"]),
        ({"isa": ["avx2", "avx_vnni"]}, ["isa avx2 avx_vnni, baseline avx2"]),
        ({"memory_bytes": 4_000_000_000}, ["memory 4 GB, baseline 8 GB"]),
    ],
)
def test_machines_are_told_apart_by_what_changes_times(changes, expected):
    assert machine_differences(MACHINE, MACHINE | changes) == expected


def test_on_another_machine_time_and_instructions_stay_open_and_size_does_not():
    old, new = variant(instructions=1e9), variant(instructions=1e9)
    found = judged(old, new, machine={"cpu": "another"})
    statuses = {g["metric"]: g["status"] for g in found["verdict"]["goals"]}
    assert statuses["size"] == "pass"
    assert statuses["latency.p50"] == statuses["instructions"] == "inconclusive"
    assert found["verdict"]["status"] == "inconclusive"
    assert found["baseline"]["same_machine"] is False
    assert found["baseline"]["reason"] == "cpu another, baseline some processor"


def test_on_another_machine_a_grown_file_still_fails():
    found = judged(variant(), variant(size=200_000), machine={"cpu": "another"})
    assert found["verdict"]["status"] == "fail"


def test_other_threads_are_not_compared():
    found = goal(judged(variant(), variant(), threads=2), "latency.p50")
    assert "measured otherwise: threads 2, baseline 1" in found["sentence"]


def test_a_reference_that_was_measured_otherwise_is_no_yardstick():
    then = report({"teacher": variant() | {"threads": 1}, "student": variant()})
    now = report({"teacher": variant(seconds=5e-4) | {"threads": 2}, "student": variant()})
    found = gate(now, then, "old.json", 0.5)
    # Held against a teacher that two threads made twice as fast, the student would have failed.
    assert goal(found, "latency.p50")["status"] == "pass"
    assert "threads 2, baseline 1" in goal(found, "latency.p50", "teacher")["sentence"]


@pytest.mark.parametrize(
    "session", [{"session.intra_op.allow_spinning": "0"}, {"intra_op_num_threads": 1}, None]
)
def test_a_setting_that_says_what_holds_anyway_is_no_difference(session):
    old, new = variant() | {"session": {}}, variant() | {"session": session}
    assert goal(judged(old, new), "latency.p50")["status"] == "pass"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"session": {"session.intra_op.allow_spinning": "1"}}, "spinning on, baseline off"),
        ({"session": {"session.x": "2"}}, "session.x 2, baseline not set"),
        ({"input_shapes": {"input": [1, 3, 9]}}, "inputs input 1x3x9, baseline input 1x3"),
    ],
)
def test_other_conditions_are_told_in_words(fields, words):
    old = variant() | {"input_shapes": {"input": [1, 3]}}
    found = goal(judged(old, old | fields), "latency.p50")
    assert f"measured otherwise: {words}" in found["sentence"]
    assert "{" not in found["sentence"]


@pytest.mark.parametrize(
    ("size", "words"), [(150_000, "grew by 50.00 %"), (1e9, "grew to more than 100 times")]
)
def test_growth_beyond_measure_is_told_in_words(size, words):
    assert words in goal(judged(variant(), variant(size=size)), "size")["remedy"]


def test_another_onnxruntime_is_noted_and_the_reference_is_no_yardstick():
    found = judged(variant(), variant(), machine={"onnxruntime": "1.21.0"})
    assert found["baseline"]["same_machine"] is True
    assert found["baseline"]["reason"] == "onnxruntime 1.21.0, baseline 1.20.0"
    assert goal(found, "latency.p50", "teacher")["status"] == "pass"


# ----------------------------------------------------------------------------------- accuracy


def right(*wrong, n=1000):
    """Whether each of n images is right: all but some."""
    found = np.ones(n, dtype=bool)
    found[list(wrong)] = False
    return found


def test_the_same_answers_on_the_same_images_are_no_drop():
    found = goal(judged(variant(right=right(3)), variant(right=right(3))), "accuracy")
    assert (found["status"], found["low"], found["high"]) == ("pass", 0.0, 0.0)
    assert "right on the very same images" in found["sentence"]


def test_accuracy_is_paired_on_the_same_images():
    found = goal(judged(variant(right=right()), variant(right=right(*range(30)))), "accuracy")
    # 30 lost and none won, each plus one: sum 30, squares 32, n 1002; t(0.975, 1001) = 1.962.
    half = 1.962 * math.sqrt((32 - 30**2 / 1002) / 1001 / 1002)
    assert found["status"] == "fail"
    assert found["low"] == pytest.approx(30 / 1002 - half, abs=1e-5)
    assert found["bound"] == "max_drop" and found["limit"] == 0.005


def test_a_few_images_leave_a_small_drop_open_and_tell_how_many_it_takes():
    found = goal(judged(variant(right=right()), variant(right=right(1, 2))), "accuracy")
    assert found["status"] == "inconclusive"
    assert "test images in place of 1,000 would decide" in found["remedy"]


def test_accuracy_on_other_images_is_not_paired():
    new = variant(right=right(*range(30)))
    new["answers"] = new["answers"] | {"images_sha256": "others"}
    found = goal(judged(variant(right=right(*range(30))), new), "accuracy")
    assert found["status"] == "inconclusive"
    assert "not on the same images" in found["sentence"]


def test_accuracy_that_is_no_longer_measured_leaves_the_gate_open():
    found = judged(variant(right=right()), variant())
    assert goal(found, "accuracy")["remedy"] == "give --data, as then"
    assert found["verdict"]["status"] == "inconclusive"


# --------------------------------------------------------------------------------- the report


def test_the_users_own_goals_stay_and_count():
    new = report({"student": variant()})
    new["verdict"] = {"status": "fail", "goals": [{"status": "fail", "metric": "memory"}]}
    found = gate(new, report({"student": variant()}), "old.json", 0.5)
    assert found["verdict"]["goals"][0] == {"status": "fail", "metric": "memory"}
    assert found["verdict"]["status"] == "fail"
    assert len(found["verdict"]["goals"]) > 1


def test_a_variant_that_is_gone_is_told_and_the_report_can_be_written():
    then = report({"teacher": variant(), "student": variant(), "baseline": variant()})
    now = report({"teacher": variant(), "student": variant()})
    before = copy.deepcopy(now)
    found = gate(now, then, "old.json", 0.5)
    assert found["baseline"]["reason"] == "not measured now: baseline"
    assert now == before
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "cannot be read as JSON"),
        ({"kind": "bundle", "schema": 1}, "expected a report, found bundle"),
        ({"kind": "report", "schema": 99, "variants": {}}, "expected schema 1, found 99"),
        ({"kind": "report", "schema": 1}, "measure"),
    ],
)
def test_what_is_not_a_report_is_refused_as_a_baseline(tmp_path, content, message):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UsageError, match=message) as caught:
        read_baseline(path)
    assert str(caught.value).startswith("--baseline ")


def old_report(path, change):
    """Written to a file, with something changed."""
    content = {"kind": "report", "schema": 1} | report({"student": variant(right=right(1))})
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_an_old_report_that_is_whole_is_read(tmp_path):
    assert read_baseline(old_report(tmp_path / "old.json", lambda content: None))["variants"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size_bytes", None),
        ("size_bytes", 0),
        ("samples_seconds", []),
        ("samples_seconds", [[1e-3], []]),
        ("samples_seconds", [[1e-3, 0.0]]),
        ("accuracy", {"value": 0.9}),
        ("instructions", {"value": 1e9, "low": "x"}),
        ("answers", {"n": 1000, "right_base64": "AA==", "images_sha256": "i"}),
        ("session", 3),
    ],
)
def test_a_damaged_variant_is_refused_before_anything_is_measured(tmp_path, field, value):
    path = tmp_path / "old.json"
    old_report(path, lambda content: content["variants"]["student"].update({field: value}))
    with pytest.raises(UsageError, match=f"--baseline .*{field}"):
        read_baseline(path)


@pytest.mark.parametrize("part", ["machine", "settings", "resolution", "variants"])
def test_an_old_report_without_one_of_its_parts_is_refused(tmp_path, part):
    path = old_report(tmp_path / "old.json", lambda content: content.pop(part))
    with pytest.raises(UsageError, match=f"--baseline .*{part}"):
        read_baseline(path)


def test_a_baseline_that_the_new_report_would_replace_is_refused(tmp_path):
    (tmp_path / "report").mkdir()
    path = old_report(tmp_path / "report" / "report.json", lambda content: None)
    for given in (path, path.parent):
        with pytest.raises(UsageError, match="give another --out"):
            check_apart(given, tmp_path / "report" / ".." / "report")
        check_apart(given, tmp_path / "new")
        check_apart(given, None)


def test_bench_looks_at_the_baselines_place_before_anything_else(tmp_path):
    settings = Bench(baseline=tmp_path / "report.json")
    with pytest.raises(UsageError, match="give another --out"):
        bench([tmp_path / "absent.onnx"], settings=settings, run=Run(out=tmp_path))


def test_a_baseline_without_a_variant_of_these_names_is_refused(tmp_path):
    old = report({"student": variant()})
    with pytest.raises(UsageError, match='did you mean "student"'):
        check_baseline(old, tmp_path, ["studnet"])
