"""Losses on logits: by hand, against float64 references written out in loops, at their limits."""

import math

import numpy as np
import pytest
import torch

from compress.distill.losses.kd import divergence
from compress.distill.methods import list_methods, load_method
from compress.distill.signals import Situation
from compress.errors import UsageError
from compress.settings import Teaching
from loss_signals import logit_loss, loss_of, of_logits, tensor

LABELS = [3, 0, 1, 4, 2, 0]


@pytest.fixture
def logits():
    """Of student and teacher, [6, 5]."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (6, 5)), rng.normal(0, 3, (6, 5))


def _probabilities(row, temperature=1.0):
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def _kl(teacher, student):
    return sum(t * (math.log(t) - math.log(s)) for t, s in zip(teacher, student, strict=True))


def _mean(values):
    values = list(values)
    return sum(values) / len(values)


def _reference_kd(student, teacher, temperature):
    """T^2 sum p_t (log p_t - log p_s), the mean over images, written out."""
    rows = zip(student, teacher, strict=True)
    return temperature**2 * _mean(
        _kl(_probabilities(t, temperature), _probabilities(s, temperature)) for s, t in rows
    )


def _standard(row):
    mean = _mean(row)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in row) / (len(row) - 1))
    return [(value - mean) / deviation for value in row]


def _reference_dkd(student, teacher, temperature, alpha, beta):
    """Both terms from probabilities, not from logarithms."""
    total = 0.0
    for s, t, label in zip(student, teacher, LABELS, strict=True):
        p, q = _probabilities(t, temperature), _probabilities(s, temperature)
        total += alpha * _kl([p[label], 1 - p[label]], [q[label], 1 - q[label]])
        others = [c for c in range(len(p)) if c != label]
        conditional = [[row[c] / (1 - row[label]) for c in others] for row in (p, q)]
        total += beta * _kl(*conditional)
    return temperature**2 * total / len(student)


def _reference_dist(student, teacher, temperature, beta, gamma):
    """Pearson by numpy's corrcoef, row by row and column by column."""
    p = np.array([_probabilities(row, temperature) for row in teacher])
    q = np.array([_probabilities(row, temperature) for row in student])
    rows = _mean(1 - np.corrcoef(p[i], q[i])[0, 1] for i in range(len(p)))
    columns = _mean(1 - np.corrcoef(p[:, c], q[:, c])[0, 1] for c in range(p.shape[1]))
    return temperature**2 * (beta * rows + gamma * columns)


# --- kd -----------------------------------------------------------------------------------------


def test_kd_of_two_classes_is_the_number_worked_out_by_hand():
    # teacher (ln 3, 0): p = (3/4, 1/4); student (0, 0): q = (1/2, 1/2); T = 1, one image:
    # 3/4 ln(3/2) + 1/4 ln(1/2) = 0.3040988 - 0.1732868 = 0.1308120
    value = logit_loss("kd", [[0, 0]], [[math.log(3), 0]], temperature=1)
    assert value == pytest.approx(0.1308120, abs=1e-7)


def test_kd_at_temperature_two_of_doubled_logits_is_four_times_that():
    value = logit_loss("kd", [[0, 0]], [[2 * math.log(3), 0]], temperature=2)
    assert value == pytest.approx(4 * 0.1308120, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_kd_equals_the_float64_reference(logits, temperature):
    expected = _reference_kd(*logits, temperature)
    assert logit_loss("kd", *logits, temperature=temperature) == pytest.approx(expected)


def test_kd_is_zero_for_equal_logits_up_to_a_constant(logits):
    student, _ = logits
    assert logit_loss("kd", student + 7, student, temperature=2) == pytest.approx(0, abs=1e-12)


def test_kd_tends_to_half_the_mean_squared_centred_difference_as_temperature_grows(logits):
    student, teacher = (each - each.mean(1, keepdims=True) for each in logits)
    limit = _mean(((student - teacher) ** 2).sum(1)) / (2 * student.shape[1])
    errors = [abs(logit_loss("kd", *logits, temperature=t) / limit - 1) for t in (1e2, 1e3, 1e4)]
    assert errors[2] < 1e-3
    assert errors[0] > 5 * errors[1] > 25 * errors[2]  # an error of order 1 / T


def test_kd_gradient_is_temperature_times_the_difference_of_probabilities_over_the_batch(logits):
    # d/ds T^2 KL = T (softmax(s / T) - softmax(t / T)) / B
    student = tensor(logits[0]).requires_grad_()
    divergence(student, tensor(logits[1]), 2.0).backward()
    soft = [np.array([_probabilities(row, 2.0) for row in each]) for each in logits]
    assert student.grad is not None
    assert student.grad.numpy() == pytest.approx(2.0 * (soft[0] - soft[1]) / 6)


# --- lskd ---------------------------------------------------------------------------------------


def test_lskd_of_three_classes_is_the_number_worked_out_by_hand():
    # (0, 0, 3) has mean 1 and deviation sqrt((1 + 1 + 4) / 2) = sqrt 3: Z = (-1, -1, 2) / sqrt 3,
    # (3, 0, 0) likewise. At T = 1 / (sqrt 3 ln 2) exp(Z / T) is 1/2, 1/2, 4: p = (1, 1, 8) / 10
    # and q = (8, 1, 1) / 10: KL = (8 - 1) / 10 ln 8 = 1.455609, times T^2 = 0.693791
    temperature = 1 / (math.sqrt(3) * math.log(2))
    value = logit_loss("lskd", [[3, 0, 0]], [[0, 0, 3]], temperature=temperature)
    assert value == pytest.approx(1.455609 * 0.693791, rel=1e-5)


def test_lskd_equals_the_float64_reference(logits):
    expected = _reference_kd(*([_standard(row) for row in each] for each in logits), 2.0)
    assert logit_loss("lskd", *logits, temperature=2) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scaled", ["student", "teacher"])
def test_lskd_does_not_see_the_scale_and_shift_of_an_images_logits(logits, scaled):
    scale, shift = np.array([[0.1], [1], [3], [10], [30], [2]]), np.arange(6)[:, None] - 2.0
    student, teacher = logits
    changed = (student * scale + shift, teacher) if scaled == "student" else (student, teacher * 9)
    value = logit_loss("lskd", *changed, temperature=2)
    assert value == pytest.approx(logit_loss("lskd", *logits, temperature=2), rel=1e-5)


def test_lskd_without_labels_is_remarked_on():
    advise = load_method("lskd").advise
    assert "--ce-weight is 0" in advise(_situation(ce_weight=0.0))[0]
    assert advise(_situation(ce_weight=0.1)) == []


# --- dkd ----------------------------------------------------------------------------------------


def test_dkd_of_three_classes_is_the_number_worked_out_by_hand():
    # label 0; teacher (1/2, 1/3, 1/6), student a third each, as logarithms; T = 1:
    # label or not: 1/2 ln((1/2) / (1/3)) + 1/2 ln((1/2) / (2/3)) = 1/2 ln(9/8) = 0.0588915
    # the others: (2/3, 1/3) to (1/2, 1/2): 2/3 ln(4/3) + 1/3 ln(2/3) = 0.0566330
    teacher = [[math.log(3), math.log(2), 0]]
    both = {"temperature": 1.0, "alpha": 1.0, "beta": 10.0}
    value = logit_loss("dkd", [[0, 0, 0]], teacher, [0], **both)
    assert value == pytest.approx(0.0588915 + 10 * 0.0566330, abs=1e-6)


@pytest.mark.parametrize(("temperature", "alpha", "beta"), [(4, 1, 8), (1, 1, 0.5), (2, 0, 3)])
def test_dkd_equals_the_float64_reference(logits, temperature, alpha, beta):
    settings = {"temperature": temperature, "alpha": alpha, "beta": beta}
    value = logit_loss("dkd", *logits, LABELS, **settings)
    assert value == pytest.approx(_reference_dkd(*logits, **settings))


@pytest.mark.parametrize("label", range(5))
def test_dkd_of_an_image_is_kd_where_beta_is_what_the_teacher_leaves_to_the_others(logits, label):
    # the paper's identity: KL = KL(label or not) + (1 - p_teacher(label)) KL(which of the others)
    student, teacher = (each[:1] for each in logits)
    left = 1 - _probabilities(teacher[0], 4.0)[label]
    value = logit_loss("dkd", student, teacher, [label], temperature=4, alpha=1, beta=left)
    assert value == pytest.approx(logit_loss("kd", student, teacher, temperature=4))


# --- dist ---------------------------------------------------------------------------------------


def test_dist_of_predictions_that_are_each_others_opposite_is_the_number_worked_out_by_hand():
    # two classes, two images: every row and column is (a, b) against (b, a): rho = -1, 1 - rho = 2
    student, teacher = [[1, 0], [0, 1]], [[0, 1], [1, 0]]
    value = logit_loss("dist", student, teacher, temperature=2, beta=3, gamma=5)
    assert value == pytest.approx(2**2 * (3 * 2 + 5 * 2), rel=1e-6)


@pytest.mark.parametrize(("temperature", "beta", "gamma"), [(4, 2, 2), (1, 1, 0), (1, 0, 1)])
def test_dist_equals_the_float64_reference(logits, temperature, beta, gamma):
    settings = {"temperature": temperature, "beta": beta, "gamma": gamma}
    expected = _reference_dist(*logits, **settings)
    assert logit_loss("dist", *logits, **settings) == pytest.approx(expected, rel=1e-5)


def test_dist_does_not_see_predictions_blended_with_indifference(logits):
    # p -> a p + (1 - a) / C is affine in every row, and in every column where a is the same
    _, teacher = logits
    p = np.array([_probabilities(row) for row in teacher])
    both = {"temperature": 1.0, "beta": 1.0, "gamma": 1.0}
    assert logit_loss("dist", np.log(0.3 * p + 0.7 / 5), teacher, **both) < 1e-5
    share = np.linspace(0.2, 1, 6)[:, None]
    blended = np.log(share * p + (1 - share) / 5)
    assert logit_loss("dist", blended, teacher, temperature=1, beta=1, gamma=0) < 1e-5
    assert logit_loss("dist", blended, teacher, temperature=1, beta=0, gamma=1) > 1e-2


def test_dist_of_an_indifferent_student_is_one_a_term_and_its_gradient_is_no_explosion(logits):
    student = torch.zeros(6, 5, requires_grad=True)
    signals = of_logits(student, tensor(logits[1]).float())
    value = loss_of("dist", signals, temperature=1, beta=1, gamma=1)
    value.backward()
    assert value.item() == pytest.approx(2)
    assert student.grad is not None
    assert 0 < student.grad.abs().max() < 1e4


# --- hard, function_matching --------------------------------------------------------------------


def test_hard_of_two_classes_is_the_number_worked_out_by_hand():
    # student (ln 3, 0): -ln 3/4 where the teacher says 0, -ln 1/4 where it says 1
    student = [[math.log(3), 0], [math.log(3), 0]]
    value = logit_loss("hard", student, [[0.2, 0.1], [-5, 9]])
    assert value == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_hard_is_the_cross_entropy_with_the_teachers_first_choice(logits):
    student, teacher = logits
    picked = [max(range(5), key=lambda c, row=row: row[c]) for row in teacher]
    expected = _mean(
        -math.log(_probabilities(row)[c]) for row, c in zip(student, picked, strict=True)
    )
    assert logit_loss("hard", student, teacher) == pytest.approx(expected)


def test_hard_sees_nothing_of_the_teacher_but_its_first_choice(logits):
    student, teacher = logits
    assert logit_loss("hard", student, np.exp(teacher)) == logit_loss("hard", student, teacher)


def test_function_matching_is_kd_at_temperature_one_without_labels(logits):
    defaults = load_method("function_matching").small_data
    assert (defaults.settings.temperature, defaults.weight, defaults.ce_weight) == (1, 1, 0)
    value = logit_loss("function_matching", *logits, temperature=1)
    assert value == pytest.approx(_reference_kd(*logits, 1.0))


def test_function_matching_without_mixed_views_or_patience_is_remarked_on():
    advise = load_method("function_matching").advise
    assert "--mixup" in advise(_situation(mixes=False, epochs=300))[0]
    assert "patience" in advise(_situation(mixes=True, epochs=30))[0]
    assert advise(_situation(mixes=True, epochs=300)) == []


# --- names and flags ----------------------------------------------------------------------------


def test_a_misspelled_method_is_refused_with_a_suggestion():
    assert "kd" in list_methods()
    with pytest.raises(UsageError, match=r"did you mean .kd."):
        load_method("kdd")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"temperature": 0.0}, "--temperature: expected a number above 0, found 0"),
        ({"temperature": float("nan")}, "--temperature: .* found nan"),
        ({"kd_weight": -1.0}, "--kd-weight: expected 0 or more, found -1"),
        ({"kd_weight": 0.0, "ce_weight": 0.0}, "nothing would be learnt"),
    ],
)
def test_weights_and_temperatures_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        Teaching(**settings).check()


def _situation(*, ce_weight=1.0, mixes=False, epochs=300):
    return Situation(ce_weight=ce_weight, images_at_once=128, mixes=mixes, epochs=epochs)
