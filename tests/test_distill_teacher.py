"""The teacher: frozen, in eval mode, and refused when its answers cannot be right."""

import numpy as np
import pytest
import torch
from torch import nn

import tiny
from compress.distill.answers import Answers
from compress.distill.scarce import hide_labels, labelled_part
from compress.distill.teacher import Teacher, _check_classes, check_teacher
from compress.errors import ModelError, UsageError
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing
from compress.progress import SILENT
from compress.training.batches import UNLABELLED, BatchPlan, epoch_batches

DATA = tiny.dataset()
SIZE = (16, 16)


def _model(module: nn.Module, classes=tiny.CLASSES, **spec) -> LoadedModel:
    preprocessing = Preprocessing(SIZE, 1, **spec)
    return LoadedModel(module, preprocessing, classes, "net.py:teacher", "", {})


class _Stripes(nn.Module):
    """Right on every image of tiny.py, if its input is (x - 128) / 64: a teacher by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pixels = 64 * x[:, 0] + 128
        along, across = pixels.mean(2).std(1), pixels.mean(1).std(1)
        # bars vary down the image, columns across it; 40 grey levels tell stripes from noise
        return torch.stack([along - 40, across - 40, torch.zeros_like(along)], 1)


class _Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(784, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def _images(count: int = 8) -> np.ndarray:
    return DATA.train.images.batch(np.arange(count), SIZE)


def test_the_teacher_answers_in_eval_mode_even_if_somebody_switched_it():
    teacher = Teacher(_model(_Noisy()), "cpu")
    before = teacher.model.module.net[1].running_mean.clone()
    teacher.model.module.train()
    first, second = teacher.logits(_images()), teacher.logits(_images())
    assert torch.equal(first, second)  # no dropout
    assert torch.equal(teacher.model.module.net[1].running_mean, before)


def test_the_teacher_has_no_gradient():
    teacher = Teacher(_model(_Noisy()), "cpu")
    assert not teacher.logits(_images()).requires_grad
    assert not any(p.requires_grad for p in teacher.model.module.parameters())


def test_a_good_teachers_accuracy_is_returned():
    assert check_teacher(_model(_Stripes()), DATA, SILENT) == 1.0


def test_a_wrong_normalisation_is_refused_with_the_flags_of_the_right_one():
    wrong = _model(_Stripes(), mean=(0.0,), scale=(255.0,))
    with pytest.raises(ModelError, match=r"100 % with \(x - 128\) / 64; .*--teacher-mean 128 "):
        check_teacher(wrong, DATA, SILENT)


def test_a_teacher_that_ends_in_softmax_is_refused():
    model = _model(nn.Sequential(_Stripes(), nn.Softmax(1)))
    with pytest.raises(ModelError, match="expected logits, found probabilities"):
        check_teacher(model, DATA, SILENT)


def test_a_teacher_with_nan_is_refused():
    module = _Noisy()
    with torch.no_grad():
        module.net[0].bias[0] = float("nan")
    with pytest.raises(ModelError, match="NaN"):
        check_teacher(_model(module), DATA, SILENT)


def test_other_classes_are_refused_with_both_lists():
    with pytest.raises(ModelError, match=r"3: bars, columns, blank.*found 2: cat, dog"):
        _check_classes(_model(_Noisy(), classes=("cat", "dog")), DATA)


def test_the_same_classes_in_another_order_are_refused():
    with pytest.raises(ModelError, match="same order"):
        _check_classes(_model(_Noisy(), classes=tiny.CLASSES[::-1]), DATA)


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


def _plan(views: int) -> BatchPlan:
    return BatchPlan(
        split=DATA.train,
        size=SIZE,
        batch_size=20,
        augment="crop+flip",
        views=views,
        order_seed=4,
        view_seed=0,
    )


class _Counting(Teacher):
    """Counts the images that it answers."""

    asked = 0

    def logits(self, images: np.ndarray) -> torch.Tensor:
        self.asked += len(images)
        return super().logits(images)


def test_remembered_answers_are_those_of_the_live_teacher_on_the_same_views():
    teacher = _Counting(_model(_Noisy()), "cpu")
    answers = Answers(teacher, SILENT)
    for epoch in range(4):
        for batch in epoch_batches(_plan(views=2), epoch):
            remembered = answers.logits(batch)
            live = Teacher.logits(teacher, batch.images)
            assert torch.allclose(remembered, live, atol=1e-5)
    assert teacher.asked == 2 * len(DATA.train)  # two views, each asked once


def test_without_repeated_views_the_teacher_answers_live():
    teacher = _Counting(_model(_Noisy()), "cpu")
    answers = Answers(teacher, SILENT)
    for epoch in range(2):
        for batch in epoch_batches(_plan(views=0), epoch):
            assert torch.equal(answers.logits(batch), Teacher.logits(teacher, batch.images))
    assert teacher.asked == 2 * len(DATA.train)


def test_remembered_answers_do_not_depend_on_where_training_began():
    early = Answers(Teacher(_model(_Noisy()), "cpu"), SILENT)
    batches = [list(epoch_batches(_plan(views=2), epoch)) for epoch in range(3)]
    for batch in batches[0]:
        early.logits(batch)
    late = Answers(early.teacher, SILENT)
    assert torch.equal(early.logits(batches[2][1]), late.logits(batches[2][1]))
