"""Accuracy, agreement, flips and noise of int8, against numbers worked out by hand."""

import json
import math

import numpy as np
import pytest

from compress.intervals import paired_difference, wilson
from compress_export.proof.quality import compare_quality, mean_kl, sqnr_db


def answers(*classes):
    """Logits [N, 3] whose largest is the given class."""
    return np.eye(3, dtype=np.float32)[list(classes)]


LABELS = np.array([0, 0, 0, 1, 1, 2])
FLOAT32 = answers(0, 0, 1, 1, 1, 2)  # 5 right
INT8 = answers(0, 1, 0, 1, 2, 0)  # 3 right
TEACHER = answers(0, 0, 0, 1, 2, 2)  # 5 right


def found(teacher=TEACHER, classes=("ant", "bee", "cat")):
    return compare_quality(FLOAT32, INT8, LABELS, teacher, classes)


def test_both_accuracies_and_the_paired_drop_have_intervals():
    quality = found()
    right = np.array([1, 1, 0, 1, 1, 1]), np.array([1, 0, 1, 1, 0, 0])
    assert quality.float32 == wilson(5, 6)
    assert quality.int8 == wilson(3, 6)
    assert quality.drop == paired_difference(*right)
    assert quality.drop.value == pytest.approx(2 / 6)
    assert quality.n == 6


def test_agreement_counts_like_answers_right_or_wrong():
    quality = found()
    assert quality.agreement == wilson(2, 6)
    assert quality.teacher_agreement == wilson(4, 6)
    assert quality.float32_teacher_agreement == wilson(4, 6)


def test_flips_are_what_another_has_right_and_int8_wrong():
    quality = found()
    assert quality.float32_flips == 3
    assert quality.teacher_flips == 2


def test_the_worst_class_is_the_one_that_loses_most():
    """cat: its only image; bee loses half of two, ant wins one and loses one of three."""
    worst = found().worst_class
    assert (worst.name, worst.drop, worst.n) == ("cat", 1.0, 1)
    assert found(classes=()).worst_class.name == "2"


def test_of_classes_that_lose_alike_the_one_with_most_images_is_named():
    quality = compare_quality(FLOAT32, FLOAT32, LABELS, None)
    assert (quality.worst_class.name, quality.worst_class.drop) == ("0", 0.0)


def test_without_a_teacher_nothing_is_said_of_one():
    quality = found(teacher=None)
    assert quality.teacher_agreement is quality.teacher_flips is None
    assert quality.float32_teacher_agreement is None


def test_signal_to_noise_is_in_decibels():
    """(9 + 16) / (1 + 0) = 25, which is 13.98 dB."""
    exact, noisy = np.array([[3, 4]], np.float32), np.array([[2, 4]], np.float32)
    assert sqnr_db(exact, noisy) == pytest.approx(13.979400086720377)


def test_equal_logits_have_no_noise_to_measure():
    assert sqnr_db(FLOAT32, FLOAT32) is None


def test_divergence_is_in_nats_and_averaged_over_images():
    """p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2); the other image adds 0."""
    exact = np.log(np.array([[3, 1], [1, 1]], np.float32))
    other = np.zeros((2, 2), np.float32)
    expected = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2
    assert mean_kl(exact, other) == pytest.approx(expected, rel=1e-6)
    assert mean_kl(exact + 5, exact) == pytest.approx(0, abs=1e-7)  # a shift is no difference


def test_a_comparison_can_be_written_as_json():
    content = json.loads(json.dumps(found().to_dict(), allow_nan=False))
    assert content["drop"]["value"] == pytest.approx(1 / 3)
    assert content["worst_class"] == {"name": "cat", "drop": 1.0, "n": 1}
    assert json.dumps(compare_quality(INT8, INT8, LABELS, None).to_dict(), allow_nan=False)
