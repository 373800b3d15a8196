"""Metrics on measurements of a known outcome, and the contract of their folder."""

import base64
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import bench_models
from compress_bench.answers import Answers, softmax
from compress_bench.differences import disagreements
from compress_bench.metrics import Goal, load_metric, metric_names
from compress_bench.metrics.calibration_error import calibration_error

FIELDS = {
    "accuracy": {"accuracy", "accuracy_drop"},
    "latency": {"latency", "samples_seconds"},
    "size": {"size_bytes"},
    "deadline_misses": {"paced"},
    "frame_cpu": set(),  # in `paced`, as the next
    "frame_latency": set(),
}


def measure(metric, variant, **changes):
    return load_metric(metric).measure(bench_models.evidence(**changes), variant)


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_reports_fields_of_its_name_that_json_can_hold(name):
    metric = load_metric(name)
    for variant in ("teacher", "student"):
        fields = metric.measure(bench_models.evidence(), variant)
        said = {field for field in fields if field.endswith("_reason")}
        assert set(fields) - said == FIELDS.get(name, {name})
        assert all(fields[field.removesuffix("_reason")] is None for field in said)
        json.dumps(fields, allow_nan=False)
    if metric.GOAL is not None:
        assert metric.GOAL.bounds
        assert set(metric.GOAL.compares) <= set(metric.GOAL.bounds)


def test_speedup_is_paired_so_that_a_slowing_machine_does_not_matter():
    found = measure("speedup", "student")["speedup"]
    assert found["value"] == pytest.approx(4.0, rel=1e-3)
    assert found["high"] / found["low"] < 1.01
    assert found["resolvable"] is True and found["vs"] == "teacher"


@pytest.mark.parametrize(
    ("slowdown", "verdict"),
    [(4.0, "faster"), (0.8, "slower"), (1.0, "no difference can be told")],
)
def test_a_speedup_says_what_may_be_declared(slowdown, verdict):
    found = measure("speedup", "student", slowdown=slowdown)["speedup"]
    assert found["verdict"] == verdict
    assert found["resolvable"] is (verdict != "no difference can be told")


def test_the_reference_has_no_speedup_drop_flips_or_agreement():
    assert measure("speedup", "teacher") == {"speedup": None}
    assert measure("negative_flips", "teacher") == {"negative_flips": None}
    assert measure("agreement", "teacher") == {"agreement": None}
    assert measure("accuracy", "teacher")["accuracy_drop"] is None


def test_percentiles_below_their_floor_are_null_with_the_reason():
    found = measure("latency", "student")["latency"]
    assert found["n"] == 250  # 5 processes, 10 rounds, 5 inferences
    assert found["p50"]["value"] == pytest.approx(1.25e-3, rel=1e-3)
    assert found["p95"] is not None
    assert found["p99"] is None and "at least 662" in found["p99_reason"]


def test_accuracy_counts_right_answers_and_pairs_its_drop():
    found = measure("accuracy", "student", wrong=8)
    assert (found["accuracy"]["value"], found["accuracy"]["n"]) == (0.92, 100)
    assert found["accuracy_drop"]["value"] == pytest.approx(0.08)
    assert found["accuracy_drop"]["low"] > 0  # eight against none is beyond chance


def test_confusion_has_true_classes_as_rows():
    found = measure("confusion", "student", wrong=1)["confusion"]
    # image 0 is of class 0 and answered 1; 34 + 33 + 33 images
    assert found == [[33, 1, 0], [0, 33, 0], [0, 0, 33]]


def test_the_worst_class_is_named():
    assert measure("worst_class", "student", wrong=1)["worst_class"] == {
        "class": "top",
        "accuracy": 33 / 34,
    }


def worst_of(*classes):
    """The estimate for a student that has `right` of `total` images of each class right."""
    labels = np.repeat(np.arange(len(classes)), [total for _, total in classes])
    right = np.concatenate([np.arange(total) < wanted for wanted, total in classes])
    evidence = bench_models.evidence()
    images = replace(evidence.images, labels=labels)
    answers = {"student": Answers(np.where(right, labels, labels + 1), np.full(len(labels), 0.9))}
    goal = Goal(
        variant="student", metric="worst_class", detail="", bound="min", limit=0.7, written="70 %"
    )
    return load_metric("worst_class").estimate(
        replace(evidence, images=images, answers=answers), goal
    )


def test_the_worst_class_is_bounded_by_the_least_bounds_of_all_classes_at_a_joint_level():
    found = worst_of((81, 100), (8, 10))
    # Two classes: z(1 - 0.05 / 4) = 2.24140. The small class has the least value and the least
    # lower bound, the large one the least upper bound.
    assert found.value == 0.8
    assert found.low == pytest.approx(score_bound(8, 10, 2.24140, -1), abs=1e-5)
    assert found.high == pytest.approx(score_bound(81, 100, 2.24140, 1), abs=1e-5)


def score_bound(right, n, z, sign):
    """The root of |right / n - p| = z sqrt(p (1 - p) / n) on one side."""
    roots = np.roots([n + z * z, -(2 * right + z * z), right * right / n])
    return max(sign * roots) * sign


def test_memory_is_the_median_of_its_processes():
    found = measure("memory", "student")["memory"]
    assert found == {
        "baseline_bytes": 40_000_000,
        "peak_bytes": 41_005_000,
        "model_bytes": 1_005_000,
        "pss_bytes": None,
        "private_dirty_bytes": None,
        "processes": 5,
    }


def answered(student_right):
    """The teacher has the first 80 of 100 images right, the student those of a mask."""
    evidence = bench_models.evidence()
    labels = evidence.images.labels
    masks = {"teacher": np.arange(100) < 80, "student": student_right}
    answers = {
        name: Answers(np.where(right, labels, (labels + 1) % 3), np.full(100, 0.9))
        for name, right in masks.items()
    }
    return replace(evidence, answers=answers)


def test_negative_flips_are_of_the_images_that_the_reference_has_right():
    right = np.arange(100) >= 8  # loses 8 of the teacher's 80, wins its other 20
    found = load_metric("negative_flips").measure(answered(right), "student")["negative_flips"]
    assert (found["value"], found["n"], found["vs"]) == (0.1, 80, "teacher")
    # Wilson: (8 + z²/2 -+ z sqrt(8 * 72 / 80 + z²/4)) / (80 + z²), z = 1.95996.
    assert found["low"] == pytest.approx(0.05155, abs=1e-5)
    assert found["high"] == pytest.approx(0.18511, abs=1e-5)


def test_no_flip_can_be_counted_where_the_reference_has_nothing_right():
    evidence = answered(np.ones(100, dtype=bool))
    wrong = replace(evidence.answers["teacher"], labels=(evidence.images.labels + 1) % 3)
    evidence = replace(evidence, answers=evidence.answers | {"teacher": wrong})
    found = load_metric("negative_flips").measure(evidence, "student")["negative_flips"]
    assert found["value"] is None and "no image right" in found["reason"]


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equal_mass():
    confidence = np.array([0.9, 0.6, 0.8, 0.7])
    right = np.array([True, True, True, False])
    # 0.6 and 0.7: 0.65 sure, 0.5 right; 0.8 and 0.9: 0.85 sure, 1 right; 0.15 each.
    assert calibration_error(confidence, right, bins=2).value == pytest.approx(0.15)
    # One bin: 0.75 sure, 0.75 right.
    assert calibration_error(confidence, right, bins=1).value == pytest.approx(0.0)


def test_the_calibration_error_of_a_file_that_is_too_sure_has_a_normal_interval():
    right = np.arange(15_000) % 10 != 0  # 90 % in each of 15 bins of 1,000
    found = calibration_error(np.full(15_000, 0.95), right)
    # Each bin's gap is far from zero, so that nothing folds: 0.05 -+ 1.96 sqrt(0.09 / 15000).
    half = 1.96 * math.sqrt(0.09 / 15_000)
    assert found.value == pytest.approx(0.05)
    assert found.low == pytest.approx(0.05 - half, abs=3e-4)
    assert found.high == pytest.approx(0.05 + half, abs=3e-4)


def test_the_calibration_error_of_a_calibrated_file_may_be_zero():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 2000)
    found = calibration_error(confidence, rng.random(2000) < confidence)
    assert found.low == 0.0 < found.value <= found.high


def test_a_few_images_that_are_all_right_do_not_prove_that_certainty_is_due():
    found = calibration_error(np.ones(60), np.ones(60, dtype=bool))
    # Wilson: 60 of 60 may be 60 / (60 + 1.96^2) = 0.93985.
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.93985, abs=1e-4)


def test_a_file_that_is_certain_and_always_wrong_has_an_interval_too():
    found = calibration_error(np.ones(1500), np.zeros(1500, dtype=bool))
    # 15 bins of 100 with a proportion of 2 / 104 each: far from zero, so that nothing folds.
    spread = math.sqrt(2 / 104 * (102 / 104) / 1500)
    assert found.value == pytest.approx(1)
    assert found.low == pytest.approx(1 - 1.96 * spread, abs=1e-3)


def test_a_calibration_error_is_reported_with_its_bins_and_always_the_same():
    evidence = answered(np.arange(100) < 90)
    first, again = (
        load_metric("calibration_error").measure(evidence, "student")["calibration_error"]
        for _ in range(2)
    )
    assert first == again
    assert first["bins"] == 15


def test_answers_are_kept_a_bit_an_image_with_the_images_they_are_of():
    metric = load_metric("answers")
    evidence = answered(np.arange(100) >= 8)
    found = metric.measure(evidence, "student")["answers"]
    packed = base64.b64decode(found["right_base64"])
    assert (found["n"], len(packed), packed[0], packed[1]) == (100, 13, 0, 255)
    other = replace(evidence.images, labels=evidence.images.labels[::-1].copy())
    moved = metric.measure(replace(evidence, images=other), "student")["answers"]
    assert moved["images_sha256"] != found["images_sha256"]


def test_disagreements_show_only_images_that_are_answered_differently():
    found = disagreements(bench_models.evidence(wrong=30))
    assert len(found) == 24
    for image in found:
        assert image["predictions"]["teacher"] == image["label"] != image["predictions"]["student"]
    assert {image["index"] for image in found} <= set(range(30))


def test_softmax_of_large_logits_stays_finite():
    found = softmax(np.array([[1000.0, 0.0], [0.0, 0.0]], dtype=np.float32))
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("metric", ["deadline_misses", "sustained"])
def test_a_flag_that_was_given_is_not_asked_for_where_the_time_cap_hit(metric):
    asked = frozenset({"paced", "sustained", "profiles"})
    bare = replace(bench_models.evidence(), paced={}, sustained={}, profiles={})
    field = "paced" if metric == "deadline_misses" else metric
    reasons = [
        load_metric(metric).measure(evidence, "student")[f"{field}_reason"]
        for evidence in (bare, replace(bare, asked=asked))
    ]
    assert "--fps" in reasons[0] or "--sustained" in reasons[0]
    assert "time cap" in reasons[1]
    assert "--fps" not in reasons[1] and "--sustained" not in reasons[1]
