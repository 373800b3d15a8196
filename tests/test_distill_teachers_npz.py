"""Answers that the user brings in an .npz: held against the images one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import teachers_case as case
import tiny
from compress.data.dataset import Split
from compress.data.open import open_dataset
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.record import is_rebuildable, teacher_record
from compress.errors import DataError, ModelError, UsageError
from compress.progress import SILENT

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(96, 3)).astype(np.float32)


def write(tmp_path, **arrays):
    np.savez(tmp_path / "answers.npz", **arrays)
    return tmp_path / "answers.npz"


def rows(teacher, indices, data=case.DATA) -> np.ndarray:
    """Its answers to training images of the plain view."""
    bound = teacher.bind(case.plan(data), 2.0)
    return bound.logits(replace(case.views(), indices=np.array(indices))).numpy()


def test_rows_are_the_training_images_in_their_order(tmp_path):
    teacher = case.load(write(tmp_path, logits=LOGITS))
    assert np.array_equal(rows(teacher, [5, 0, 5]), LOGITS[[5, 0, 5]])
    assert check_teacher(teacher, case.DATA, SILENT) is None  # it knows no other image


def test_rows_may_be_those_of_the_source_before_validation_was_cut(tmp_path):
    pixels, labels = tiny.images(96, 1)
    test_pixels, test_labels = tiny.images(30, 3)
    np.savez(
        tmp_path / "data.npz",
        x_train=pixels,
        y_train=labels,
        x_test=test_pixels,
        y_test=test_labels,
        classes=tiny.CLASSES,
    )
    data = open_dataset(str(tmp_path / "data.npz"))
    assert 60 < len(data.train) < 96
    teacher = case.load(write(tmp_path, logits=LOGITS), data=data)
    shown = data.train.images.batch(np.arange(len(data.train)), case.SIZE)
    where = [int(np.flatnonzero((pixels == image).all((1, 2, 3)))[0]) for image in shown]
    assert np.array_equal(rows(teacher, np.arange(len(shown)), data), LOGITS[where])
    # as many rows as training images are taken for those
    part = case.load(write(tmp_path, logits=LOGITS[: len(shown)]), data=data)
    assert np.array_equal(rows(part, [1], data), LOGITS[[1]])


def test_another_number_of_rows_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(
        DataError, match=r"each of the 96 training images of tiny, in their order, found 95 rows"
    ):
        case.load(write(tmp_path, logits=LOGITS[:95]))


def test_the_images_before_validation_was_cut_are_named_where_they_are_more(tmp_path, folder):
    count = len(folder.train)
    assert count < 30
    expected = f"the {count} training images of .* or 30 before others were cut from them, in"
    for rows in (count - 1, 31):
        with pytest.raises(DataError, match=expected):
            case.load(write(tmp_path, logits=LOGITS[:rows]), data=folder)


@pytest.fixture
def folder(tmp_path):
    """train/ and test/ with folders of the classes."""
    for split, count, seed in (("train", 30, 1), ("test", 9, 3)):
        for k, (pixels, label) in enumerate(zip(*tiny.images(count, seed), strict=True)):
            path = tmp_path / "photos" / split / tiny.CLASSES[label] / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0]).save(path)
    return open_dataset(str(tmp_path / "photos"))


def _names(data):
    images = data.train.images
    return [images.images.names[i] for i in images.chosen]


def test_rows_may_be_found_by_the_names_of_files(tmp_path, folder):
    names = _names(folder)
    shuffled = RNG.permutation(len(names))
    given = [f"./{names[i]}" for i in shuffled] + ["test/bars/0.png"]
    answers = np.vstack([LOGITS[shuffled], LOGITS[-1:]])
    teacher = case.load(
        write(tmp_path, logits=answers, names=given, classes=tiny.CLASSES), data=folder
    )
    expected = LOGITS[: len(names)][:, [tiny.CLASSES.index(name) for name in folder.classes]]
    assert np.array_equal(rows(teacher, np.arange(len(names)), folder), expected)


def test_a_training_image_without_a_row_is_named(tmp_path, folder):
    names = _names(folder)
    path = write(tmp_path, logits=LOGITS[: len(names) - 1], names=names[1:])
    with pytest.raises(DataError, match=f"found none called {names[0]}"):
        case.load(path, data=folder)


def test_names_that_occur_twice_are_refused(tmp_path, folder):
    names = _names(folder)
    path = write(tmp_path, logits=LOGITS[: len(names) + 1], names=[*names, names[0]])
    with pytest.raises(DataError, match="found one twice"):
        case.load(path, data=folder)


def test_names_are_of_no_use_where_images_have_none(tmp_path):
    path = write(tmp_path, logits=LOGITS, names=[str(k) for k in range(96)])
    with pytest.raises(DataError, match="expected data that are an image folder"):
        case.load(path)


def test_classes_in_the_file_are_compared_by_name(tmp_path):
    teacher = case.load(write(tmp_path, logits=LOGITS, classes=("blank", "bars", "columns")))
    assert np.array_equal(rows(teacher, [0]), LOGITS[[0]][:, [1, 2, 0]])


def test_probabilities_teach_as_the_logits_would(tmp_path):
    soft = torch.from_numpy(LOGITS).softmax(1).numpy()
    teacher = case.load(write(tmp_path, probabilities=soft))
    found = torch.from_numpy(rows(teacher, np.arange(96)))
    expected = torch.from_numpy(LOGITS)
    assert torch.allclose((found / 4).softmax(1), (expected / 4).softmax(1), atol=1e-5)


def test_probabilities_that_are_called_logits_are_refused(tmp_path):
    soft = torch.from_numpy(LOGITS).softmax(1).numpy()
    with pytest.raises(ModelError, match=r"softmax of a softmax; save them as probabilities"):
        case.load(write(tmp_path, logits=soft))


def test_logits_that_are_called_probabilities_are_refused(tmp_path):
    with pytest.raises(ModelError, match="expected probabilities that sum to 1"):
        case.load(write(tmp_path, probabilities=LOGITS))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_the_row(tmp_path, value):
    broken = LOGITS.copy()
    broken[41, 2] = value
    with pytest.raises(DataError, match="found NaN or infinity in row 41"):
        case.load(write(tmp_path, logits=broken))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": LOGITS}, "expected logits .* found x"),
        ({"logits": LOGITS, "probabilities": LOGITS}, "found logits, probabilities"),
        ({"logits": LOGITS[:, 0]}, r"expected floats \[N, C\], found float32 \[96\]"),
        ({"logits": LOGITS.astype(np.int64)}, "found int64"),
        ({"logits": LOGITS, "classes": np.arange(3)}, "classes: expected a list of names"),
        ({"logits": np.array([None])}, "cannot be read"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        case.load(write(tmp_path, **arrays))


@pytest.mark.parametrize(
    "how", [{"augment": "crop+flip"}, {"mixup": 0.2}, {"erasing": 0.5}, {"randaugment": 9}]
)
def test_images_that_are_changed_at_random_are_refused(tmp_path, how):
    teacher = case.load(write(tmp_path, logits=LOGITS))
    with pytest.raises(UsageError, match="are for the images as they are"):
        teacher.bind(case.plan(**how), 2.0)


def test_other_images_than_the_training_images_are_refused(tmp_path):
    teacher = case.load(write(tmp_path, logits=LOGITS))
    plan = replace(case.plan(), split=case.DATA.test)
    with pytest.raises(UsageError, match="expected the training images of tiny"):
        teacher.bind(plan, 2.0)


def test_hidden_labels_do_not_matter(tmp_path):
    teacher = case.load(write(tmp_path, logits=LOGITS))
    hidden = Split(case.DATA.train.images, np.full(96, -1))
    assert teacher.bind(replace(case.plan(), split=hidden), 2.0)


def test_flags_for_networks_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--teacher-output: expected a teacher that is a network"):
        case.load(write(tmp_path, logits=LOGITS), teacher_output="probabilities")


def test_the_identity_is_of_content_and_images_and_export_leaves_it_out(tmp_path):
    first = case.load(write(tmp_path, logits=LOGITS))
    other = case.load(write(tmp_path, logits=LOGITS + 1))
    assert first.identity() != other.identity()
    assert first.identity()["images"] == case.DATA.fingerprint
    assert not is_rebuildable(teacher_record(first))


def test_answers_are_not_given_before_the_views_are_known_to_be_plain(tmp_path):
    with pytest.raises(RuntimeError, match="bind them to a plan"):
        case.load(write(tmp_path, logits=LOGITS)).logits(case.views())
