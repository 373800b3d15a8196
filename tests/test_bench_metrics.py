"""Metrics on measurements of a known outcome, and the contract of their folder."""

import json

import numpy as np
import pytest

import bench_models
from compress_bench.answers import softmax
from compress_bench.differences import disagreements
from compress_bench.metrics import load_metric, metric_names

FIELDS = {
    "accuracy": {"accuracy", "accuracy_drop"},
    "latency": {"latency", "samples_seconds"},
    "size": {"size_bytes"},
}


def measure(metric, variant, **changes):
    return load_metric(metric).measure(bench_models.evidence(**changes), variant)


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_reports_fields_of_its_name_that_json_can_hold(name):
    metric = load_metric(name)
    for variant in ("teacher", "student"):
        fields = metric.measure(bench_models.evidence(), variant)
        assert set(fields) == FIELDS.get(name, {name})
        json.dumps(fields, allow_nan=False)
    if metric.GOAL is not None:
        assert metric.GOAL.bounds
        assert set(metric.GOAL.compares) <= set(metric.GOAL.bounds)


def test_speedup_is_paired_so_that_a_slowing_machine_does_not_matter():
    found = measure("speedup", "student")["speedup"]
    assert found["value"] == pytest.approx(4.0, rel=1e-3)
    assert found["high"] / found["low"] < 1.01
    assert found["resolvable"] is True and found["vs"] == "teacher"


def test_equal_models_have_no_resolvable_speedup():
    assert measure("speedup", "student", slowdown=1.0)["speedup"]["resolvable"] is False


def test_the_reference_has_no_speedup_drop_or_agreement():
    assert measure("speedup", "teacher") == {"speedup": None}
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


def test_memory_is_the_median_of_its_processes():
    found = measure("memory", "student")["memory"]
    assert found == {
        "baseline_bytes": 40_000_000,
        "peak_bytes": 41_005_000,
        "model_bytes": 1_005_000,
        "processes": 3,
    }


def test_disagreements_show_only_images_that_are_answered_differently():
    found = disagreements(bench_models.evidence(wrong=30))
    assert len(found) == 24
    for image in found:
        assert image["predictions"]["teacher"] == image["label"] != image["predictions"]["student"]
    assert {image["index"] for image in found} <= set(range(30))


def test_softmax_of_large_logits_stays_finite():
    found = softmax(np.array([[1000.0, 0.0], [0.0, 0.0]], dtype=np.float32))
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]
