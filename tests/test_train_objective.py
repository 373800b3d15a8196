"""Cross-entropy with labels, some of them unknown, some of images that are mixed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from compress.training.batches import UNLABELLED, Batch
from compress.training.objective import cross_entropy
from compress.training.views import Views


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
