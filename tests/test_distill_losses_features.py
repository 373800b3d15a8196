"""Losses on features: by hand, against float64 references written out in loops, at their limits."""

import itertools
import math

import numpy as np
import pytest
import torch

from compress.distill.losses.hint import connector
from compress.errors import ModelError
from loss_signals import feature_loss, loss_of, of_features

RKD = {"distance": 25.0, "angle": 50.0}


@pytest.fixture
def maps():
    """Of student and teacher, [5, 3, 4, 4] each."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 3, 4, 4)), rng.normal(size=(5, 3, 4, 4))


@pytest.fixture
def vectors():
    """Of student and teacher, [6, 4] and [6, 3]."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(6, 4)), rng.normal(size=(6, 3))


def _rotation(size):
    return np.linalg.qr(np.random.default_rng(2).normal(size=(size, size)))[0]


def _halved(maps):
    """Means of blocks of 2 x 2."""
    shape = (*maps.shape[:2], maps.shape[2] // 2, maps.shape[3] // 2)
    smaller = np.zeros(shape)
    for image, channel, row, column in np.ndindex(shape):
        block = maps[image, channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        smaller[image, channel, row, column] = sum(block.flat) / 4
    return smaller


def _length(vector):
    return math.sqrt(sum(value**2 for value in vector))


def _huber(difference):
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


# --- hint ---------------------------------------------------------------------------------------


def test_hint_of_two_elements_is_the_number_worked_out_by_hand():
    # ((1 - 4)^2 + (2 - 2)^2) / 2
    assert feature_loss("hint", [[[[1, 2]]]], [[[[4, 2]]]]) == 4.5


def test_hint_equals_the_float64_reference(maps):
    pairs = list(zip(maps[0].flat, maps[1].flat, strict=True))
    expected = sum((s - t) ** 2 for s, t in pairs) / len(pairs)
    assert feature_loss("hint", *maps) == pytest.approx(expected)


def test_hint_is_zero_for_equal_maps_and_adds_up_over_the_layers(maps):
    student, teacher = maps
    assert feature_loss("hint", student, student) == 0
    one = feature_loss("hint", student, teacher)
    both = loss_of("hint", of_features([student, teacher], [teacher, student]))
    assert both.item() == pytest.approx(2 * one)


@pytest.mark.parametrize("name", ["hint", "attention"])
def test_the_larger_map_is_averaged_down_to_the_smaller(name, maps):
    student, teacher = maps
    small_teacher, small_student = _halved(teacher), _halved(student)
    expected = feature_loss(name, small_student, small_teacher)
    assert feature_loss(name, student, small_teacher) == pytest.approx(expected)
    assert feature_loss(name, small_student, teacher) == pytest.approx(expected)


def test_a_map_that_is_higher_and_narrower_is_averaged_both_ways():
    high, wide = np.ones((2, 1, 4, 2)), np.ones((2, 1, 2, 4))
    assert feature_loss("hint", high, wide) == 0


def test_a_connector_of_hint_maps_channels_and_nothing_else():
    module = connector((3, 8, 8), (7, 4, 4))
    assert module(torch.randn(2, 3, 8, 8)).shape == (2, 7, 8, 8)
    assert sum(p.numel() for p in module.parameters()) == 3 * 7 + 2 * 7


@pytest.mark.parametrize(("student", "teacher"), [((3,), (7, 4, 4)), ((3, 4, 4), (16, 7))])
def test_layers_that_give_no_maps_are_refused_with_both_shapes(student, teacher):
    with pytest.raises(ModelError, match=r"expected feature maps.*found \[3.*of the student and"):
        connector(student, teacher)
    features = np.zeros((2, *student)), np.zeros((2, *teacher))
    with pytest.raises(ModelError, match="expected feature maps"):
        feature_loss("attention", *features)


# --- attention ----------------------------------------------------------------------------------


def test_attention_of_two_positions_is_the_number_worked_out_by_hand():
    # squares (9, 16) and (1, 0), of length 1 (9, 16) / sqrt(337) and (1, 0), the mean of two:
    # (1 + 1 - 2 * 9 / sqrt(337)) / 2 = 1 - 9 / 18.357560 = 0.5097388
    value = feature_loss("attention", [[[[3, -4]]]], [[[[1, 0]]]])
    assert value == pytest.approx(0.5097388, abs=1e-6)


def test_attention_equals_the_float64_reference(maps):
    total = 0.0
    for student, teacher in zip(*maps, strict=True):
        ways = []
        for image in (student, teacher):
            strength = [
                sum(image[c, h, w] ** 2 for c in range(3)) / 3
                for h, w in itertools.product(range(4), range(4))
            ]
            ways.append([value / _length(strength) for value in strength])
        total += sum((s - t) ** 2 for s, t in zip(*ways, strict=True))
    assert feature_loss("attention", *maps) == pytest.approx(total / (5 * 16))


def test_attention_does_not_see_an_images_scale_or_the_order_of_channels(maps):
    student, teacher = maps
    scale = np.array([0.01, 0.5, 1, 7, 100])[:, None, None, None]
    expected = feature_loss("attention", student, teacher)
    assert feature_loss("attention", student * scale, teacher) == pytest.approx(expected)
    assert feature_loss("attention", student, teacher * scale) == pytest.approx(expected)
    assert feature_loss("attention", student[:, [2, 0, 1]], teacher) == pytest.approx(expected)


def test_attention_of_a_map_with_nothing_in_it_is_the_teachers_length_alone(maps):
    _, teacher = maps
    # q of the student is 0, q of the teacher has length 1: one over 16 positions
    assert feature_loss("attention", np.zeros((5, 3, 4, 4)), teacher) == pytest.approx(1 / 16)


# --- rkd ----------------------------------------------------------------------------------------


def test_rkd_distances_of_three_points_are_the_number_worked_out_by_hand():
    # on a line at 0, 1, 2: distances 1, 2, 1, mean 4/3: 3/4, 3/2, 3/4. Equilateral: 1, 1, 1.
    # huber: 1/32, 1/8, 1/32 = 3/16, twice (i to j, j to i), over 9 pairs
    line, triangle = [[0.0], [1], [2]], [[0, 0], [1, 0], [0.5, math.sqrt(0.75)]]
    value = feature_loss("rkd", line, triangle, distance=1, angle=0)
    assert value == pytest.approx(2 * 3 / 16 / 9)


def test_rkd_angles_of_three_points_are_the_number_worked_out_by_hand():
    # on a line the cosine at either end is 1 and in the midst -1; equilateral: 1/2 at each.
    # huber(1/2) = 1/8 at two, huber(-3/2) = 1 at one: 5/4, twice (j, k and k, j), over 27 triples
    line, triangle = [[0.0], [1], [2]], [[0, 0], [1, 0], [0.5, math.sqrt(0.75)]]
    value = feature_loss("rkd", line, triangle, distance=0, angle=1)
    assert value == pytest.approx(2 * 5 / 4 / 27)


def _reference_distances(points):
    count = len(points)
    table = [[_length(points[i] - points[j]) for j in range(count)] for i in range(count)]
    mean = sum(map(sum, table)) / (count * (count - 1))
    return [[value / mean for value in row] for row in table]


def _cosine(at, one, other):
    one, other = one - at, other - at
    lengths = _length(one) * _length(other)
    return sum(one * other) / lengths if lengths else 0.0


def test_rkd_equals_the_float64_reference(vectors):
    student, teacher = vectors
    count = len(student)
    s, t = _reference_distances(student), _reference_distances(teacher)
    pairs = list(itertools.product(range(count), repeat=2))
    distances = sum(_huber(s[i][j] - t[i][j]) for i, j in pairs) / count**2
    angles = sum(
        _huber(
            _cosine(student[i], student[j], student[k])
            - _cosine(teacher[i], teacher[j], teacher[k])
        )
        for i, j, k in itertools.product(range(count), repeat=3)
    )
    expected = 25 * distances + 50 * angles / count**3
    assert feature_loss("rkd", student, teacher, **RKD) == pytest.approx(expected)


def test_rkd_does_not_see_turns_moves_and_scale_of_all_features(vectors):
    student, teacher = vectors
    moved = 7 * student @ _rotation(4) + np.array([100.0, -3, 5, 0])
    expected = feature_loss("rkd", student, teacher, **RKD)
    assert feature_loss("rkd", moved, teacher, **RKD) == pytest.approx(expected)
    assert feature_loss("rkd", moved, student, **RKD) == pytest.approx(0, abs=1e-9)


def test_rkd_of_features_far_from_zero_keeps_its_digits_in_float32(vectors):
    student, teacher = vectors
    far = torch.tensor(student + 1000, dtype=torch.float32)
    value = feature_loss("rkd", far, torch.tensor(teacher, dtype=torch.float32), **RKD)
    assert value == pytest.approx(feature_loss("rkd", student, teacher, **RKD), rel=1e-3)


def test_rkd_compares_means_over_positions_and_over_tokens(maps, vectors):
    student, teacher = maps
    pooled = feature_loss("rkd", student.mean((2, 3)), teacher.mean((2, 3)), **RKD)
    assert feature_loss("rkd", student, teacher, **RKD) == pytest.approx(pooled)
    tokens = student.reshape(5, 3, 16).swapaxes(1, 2)  # [B, N, D]
    assert feature_loss("rkd", tokens, teacher, **RKD) == pytest.approx(pooled)


def test_rkd_refuses_features_that_are_no_vectors_tokens_or_maps():
    with pytest.raises(ModelError, match=r"found \[2, 3, 4, 5, 6\]"):
        feature_loss("rkd", np.zeros((2, 3, 4, 5, 6)), np.zeros((2, 3)), **RKD)


def test_rkd_takes_angles_of_the_first_64_images():
    rng = np.random.default_rng(3)
    student, teacher = rng.normal(size=(80, 3)), rng.normal(size=(80, 3))
    both = {"distance": 0.0, "angle": 1.0}
    first = feature_loss("rkd", student[:64], teacher[:64], **both)
    assert feature_loss("rkd", student, teacher, **both) == pytest.approx(first)


def test_rkd_of_images_at_one_place_sends_back_no_explosion():
    student = torch.zeros(6, 4)
    student[3:] = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    student.requires_grad_()
    teacher = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    loss_of("rkd", of_features([student], [teacher]), **RKD).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 100


# --- similarity ---------------------------------------------------------------------------------


def test_similarity_of_two_images_is_the_number_worked_out_by_hand():
    # orthogonal: rows (1, 0) and (0, 1). Equal: rows (1, 1) / sqrt 2, twice. Each of the four
    # elements of one row differs by 1 - 1 / sqrt 2 and by 1 / sqrt 2: squares 0.0857864 and 0.5
    value = feature_loss("similarity", [[1, 0], [0, 3]], [[2.0], [2.0]])
    assert value == pytest.approx((0.0857864 + 0.5) / 2, abs=1e-6)


def test_similarity_equals_the_float64_reference(maps):
    rows = []
    for images in maps:
        gram = [[sum(a * b) for b in images.reshape(5, -1)] for a in images.reshape(5, -1)]
        rows.append([[value / _length(row) for value in row] for row in gram])
    pairs = zip(np.ravel(rows[0]), np.ravel(rows[1]), strict=True)
    expected = sum((s - t) ** 2 for s, t in pairs) / 5**2
    assert feature_loss("similarity", *maps) == pytest.approx(expected)


def test_similarity_does_not_see_turns_and_the_scale_of_all_features(vectors):
    student, teacher = vectors
    expected = feature_loss("similarity", student, teacher)
    turned = feature_loss("similarity", 5 * student @ _rotation(4), teacher)
    assert turned == pytest.approx(expected)
    # an image's own scale it does see, as the others' rows hold its products
    scaled = feature_loss("similarity", student * np.arange(1, 7)[:, None], teacher)
    assert scaled != pytest.approx(expected, rel=1e-2)


def test_similarity_with_a_silent_image_sends_back_no_explosion():
    student = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    student[2] = 0
    student.requires_grad_()
    teacher = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    loss_of("similarity", of_features([student], [teacher])).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 100
