"""Few labels: which are shown, and what the student without a teacher gets."""

import numpy as np
import pytest

import tiny
from compress.distill.scarce import hide_labels, labelled_part
from compress.errors import UsageError
from compress.training.batches import UNLABELLED

DATA = tiny.dataset()
SIZE = (16, 16)


def test_hidden_labels_are_balanced_and_the_others_kept():
    hidden = hide_labels(DATA.train, 30, seed=0)
    shown = hidden.labels != UNLABELLED
    assert shown.sum() == 30
    assert np.array_equal(hidden.labels[shown], DATA.train.labels[shown])
    assert np.bincount(hidden.labels[shown]).tolist() == [10, 10, 10]
    assert len(hidden) == len(DATA.train)


def test_the_plain_student_gets_exactly_the_images_whose_labels_are_shown():
    hidden, part = hide_labels(DATA.train, 30, seed=0), labelled_part(DATA.train, 30, seed=0)
    shown = np.flatnonzero(hidden.labels != UNLABELLED)
    assert len(part) == len(DATA.train)  # repeated: as many steps an epoch as with the teacher
    repeated = shown[np.arange(len(part)) % 30]
    assert np.array_equal(part.labels, DATA.train.labels[repeated])
    expected = DATA.train.images.batch(repeated, SIZE)
    assert np.array_equal(part.images.batch(np.arange(len(part)), SIZE), expected)


def test_zero_hides_nothing_and_too_many_are_refused():
    assert hide_labels(DATA.train, 0, seed=0) is DATA.train
    with pytest.raises(UsageError, match="--labels 97: expected at most 96"):
        hide_labels(DATA.train, 97, seed=0)
