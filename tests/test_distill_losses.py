"""Losses against numbers worked out by hand, in float64, and at their limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from compress.distill.losses.kd import loss as kd
from compress.distill.methods import list_methods, load_method
from compress.errors import UsageError
from compress.settings import Teaching
from compress.training.batches import UNLABELLED, Batch
from compress.training.objective import cross_entropy
from compress.training.views import Views


def _reference_kd(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """T^2 sum p_t (log p_t - log p_s) / B, in float64 and without any log_softmax of torch."""

    def soft(logits):
        shifted = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
        return shifted / shifted.sum(1, keepdims=True)

    p, q = soft(teacher.astype(np.float64)), soft(student.astype(np.float64))
    return float(temperature**2 * (p * (np.log(p) - np.log(q))).sum() / len(p))


def test_kd_of_two_classes_is_the_number_worked_out_by_hand():
    # teacher (ln 3, 0): p = (3/4, 1/4); student (0, 0): q = (1/2, 1/2); T = 1, one image:
    # 3/4 ln(3/2) + 1/4 ln(1/2) = 0.3040988 - 0.1732868 = 0.1308120
    value = kd(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), 1.0)
    assert value.item() == pytest.approx(0.75 * math.log(1.5) - 0.25 * math.log(2), abs=1e-6)


def test_kd_at_temperature_two_of_doubled_logits_is_four_times_that():
    value = kd(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert value.item() == pytest.approx(4 * 0.1308120, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 8.0])
def test_kd_equals_the_float64_reference(temperature):
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(0, 4, (16, 10)), rng.normal(0, 4, (16, 10))
    value = kd(torch.tensor(student), torch.tensor(teacher), temperature).item()
    assert value == pytest.approx(_reference_kd(student, teacher, temperature), rel=1e-5)


def test_kd_is_a_mean_over_the_batch():
    rng = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(4, 5, generator=rng), torch.randn(4, 5, generator=rng)
    twice = kd(student.repeat(2, 1), teacher.repeat(2, 1), 3.0)
    assert twice.item() == pytest.approx(kd(student, teacher, 3.0).item(), rel=1e-6)


def test_kd_is_zero_for_equal_logits_up_to_a_constant():
    logits = torch.randn(4, 5)
    assert kd(logits + 7.0, logits, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_kd_tends_to_half_the_mean_squared_centred_difference_as_temperature_grows():
    rng = np.random.default_rng(1)
    student, teacher = rng.normal(size=(8, 10)), rng.normal(size=(8, 10))
    student, teacher = (x - x.mean(1, keepdims=True) for x in (student, teacher))
    limit = ((student - teacher) ** 2).sum(1).mean() / (2 * 10)
    value = _reference_kd(student, teacher, 1e3)
    assert value == pytest.approx(limit, rel=1e-3)
    ours = kd(torch.tensor(student), torch.tensor(teacher), 100.0).item()
    assert ours == pytest.approx(limit, rel=2e-2)


def test_kd_gradient_is_the_difference_of_softened_probabilities_times_temperature():
    # d/ds T^2 KL = T (softmax(s/T) - softmax(t/T)) / B
    student = torch.randn(3, 4, requires_grad=True)
    teacher = torch.randn(3, 4)
    kd(student, teacher, 2.0).backward()
    expected = 2.0 * (F.softmax(student / 2, 1) - F.softmax(teacher / 2, 1)) / 3
    assert torch.allclose(student.grad, expected, atol=1e-6)


def test_kd_survives_logits_that_overflow_half_precision():
    student = torch.tensor([[6e4, -6e4]], dtype=torch.float16)
    assert torch.isfinite(kd(student, -student, 1.0))


def test_every_method_is_listed_by_its_file_and_loads():
    assert "kd" in list_methods()
    for name in list_methods():
        assert callable(load_method(name))


def test_a_misspelled_method_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match=r"did you mean .kd."):
        load_method("kdd")


def _batch(
    labels: list[int],
    partner_labels: list[int] | None = None,
    shares: list[float] | None = None,
    labels_in_step: int | None = None,
) -> Batch:
    count = len(labels)
    views = Views(
        pixels=np.zeros((count, 1, 1, 1), np.uint8),
        number=0,
        indices=np.arange(count),
        partners=None if partner_labels is None else np.arange(count),
        shares=None if shares is None else np.array(shares, np.float32),
    )
    others = None if partner_labels is None else np.array(partner_labels)
    batch = Batch(
        views=views,
        labels=np.array(labels),
        partner_labels=others,
        images_in_step=count,
        labels_in_step=0,
    )
    own, partners = batch.label_weights()
    known = int(((own + partners) > 0).sum())
    return replace(batch, labels_in_step=known if labels_in_step is None else labels_in_step)


def test_cross_entropy_counts_labelled_images_only():
    # two labelled images with uniform logits over 4 classes: ln 4, whatever the third says
    logits = torch.zeros(3, 4)
    logits[2, 0] = 50.0
    value = cross_entropy(logits, _batch([1, 2, UNLABELLED]))
    assert value.item() == pytest.approx(math.log(4), abs=1e-6)


def test_cross_entropy_of_a_mixture_counts_both_labels_by_their_shares():
    # logits (ln 3, 0): -log p = ln(4/3) for class 0 and ln 4 for class 1; a quarter is class 1
    logits = torch.tensor([[math.log(3), 0.0]])
    value = cross_entropy(logits, _batch([0], [1], [0.75]))
    assert value.item() == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4), abs=1e-6)


def test_a_label_that_is_mixed_in_faintly_counts_faintly():
    # 1/4 of ln 2 known in the first image, all of ln 2 in the second: a mean over two images
    value = cross_entropy(torch.zeros(2, 2), _batch([UNLABELLED, 1], [0, 0], [0.75, 0.5]))
    assert value.item() == pytest.approx((0.25 + 1) / 2 * math.log(2), abs=1e-6)


def test_cross_entropy_smoothes_labels_as_torch_does():
    logits, labels = torch.randn(6, 4), [0, 1, 2, 3, 0, 1]
    expected = F.cross_entropy(logits, torch.tensor(labels), label_smoothing=0.1)
    assert cross_entropy(logits, _batch(labels), 0.1).item() == pytest.approx(expected.item())


def test_parts_of_a_step_add_up_to_its_mean():
    logits, labels = torch.randn(5, 4), [0, UNLABELLED, 2, 3, 1]
    whole = cross_entropy(logits, _batch(labels)).item()
    parts = [
        cross_entropy(logits[part], _batch(labels[part], labels_in_step=4)).item()
        for part in (slice(0, 2), slice(2, 5))
    ]
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_cross_entropy_without_any_label_is_zero_and_differentiable():
    logits = torch.randn(2, 4, requires_grad=True)
    value = cross_entropy(logits, _batch([UNLABELLED, UNLABELLED]))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


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
