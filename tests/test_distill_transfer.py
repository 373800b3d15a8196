"""No labels: a student learns from what its teacher says of a folder of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from compress.artifacts import MANIFEST, read_json
from compress.cli import main
from compress.data.open import open_dataset
from compress.distill.transfer import open_transfer
from compress.errors import UsageError
from compress.models.checkpoint import load_checkpoint
from compress.progress import SILENT
from compress.settings import Run, Teaching
from compress.training.evaluate import accuracy, split_logits

LEFT_OUT = 2  # the class that the transfer set never shows


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A teacher, and images of two of its three classes in a folder without any order."""
    folder = tmp_path_factory.mktemp("transfer")
    tiny.write_npz(folder / "tiny.npz", train=192)
    pixels, labels = tiny.images(300, seed=7)
    (folder / "frames" / "monday").mkdir(parents=True)
    for number, image in enumerate(pixels[labels != LEFT_OUT]):
        where = folder / "frames" / ("monday" if number % 2 else ".")
        Image.fromarray(image[..., 0]).save(where / f"{number:03}.png")
    base = ["--data", str(folder / "tiny.npz"), "--threads", "1", "-q"]
    teach = ["train", "--model", "resnet8", "--epochs", "12", "--batch-size", "32", *base]
    assert main([*teach, "-o", str(folder / "teacher")]) == 0
    distill = ["distill", "--teacher", str(folder / "teacher"), "--student", "resnet8", *base]
    distill += ["--transfer", str(folder / "frames"), "--epochs", "25", "--batch-size", "20"]
    distill += ["--temperature", "4", "--kd-weight", "1", "--mixup", "1", "--with-baseline"]
    assert main([*distill, "-o", str(folder / "student")]) == 0
    return folder


def test_a_class_that_the_transfer_set_does_not_show_is_taught_all_the_same(place):
    test = tiny.dataset().test
    student = load_checkpoint(place / "student")
    logits = split_logits(student.module, student.preprocessing, test, (16, 16))
    unseen = test.labels == LEFT_OUT
    # Naming one of the two classes that it saw would give 0.
    assert accuracy(logits[unseen], test.labels[unseen]) > 0.8
    assert accuracy(logits, test.labels) > 0.8


def test_the_manifest_says_how_unsure_the_teacher_is_on_the_images_that_teach(place):
    manifest = read_json(place / "student" / MANIFEST, kind="checkpoint")
    entropy = manifest["teacher_entropy"]
    assert entropy["images"] == 200
    assert entropy["temperature"] == 4
    assert 0 < entropy["nats"] < entropy["most"] == pytest.approx(np.log(3))


def test_labels_do_not_enter_the_loss_and_evaluate_all_the_same(place):
    manifest = read_json(place / "student" / MANIFEST, kind="checkpoint")
    assert "ce" not in manifest["history"][0]
    assert manifest["metrics"]["test"]["n"] == 60
    assert manifest["comparison"]["test"]["images"] == 60


def test_an_unlabelled_image_that_is_also_in_the_test_split_is_named(tmp_path, capsys):
    tiny.write_npz(tmp_path / "tiny.npz")
    pixels, _ = tiny.images(60, seed=3)  # tiny's own test split
    np.savez(tmp_path / "frames.npz", images=pixels[:5, ..., 0])
    data = ["--data", str(tmp_path / "tiny.npz"), "--threads", "1"]
    teacher = ["train", "--model", "lenet5", "--epochs", "1", "-o", str(tmp_path / "t"), "-q"]
    assert main([*teacher, *data]) == 0
    distill = ["distill", "--teacher", str(tmp_path / "t"), "--student", "lenet5", "--epochs", "1"]
    transfer = ["--transfer", str(tmp_path / "frames.npz"), "-o", str(tmp_path / "s")]
    assert main([*distill, *data, *transfer]) == 0
    assert "5 images also in test" in " ".join(capsys.readouterr().err.split())


def test_the_student_without_teacher_learns_from_every_class(tmp_path):
    # Sorted by class, as a folder is, and more of them than the transfer set has.
    arrays = dict(np.load(tiny.write_npz(tmp_path / "mixed.npz", train=180)))
    order = np.argsort(arrays["y_train"], kind="stable")
    arrays |= {"x_train": arrays["x_train"][order], "y_train": arrays["y_train"][order]}
    np.savez(tmp_path / "sorted.npz", **arrays)
    pixels, _ = tiny.images(60, seed=7)
    np.savez(tmp_path / "frames.npz", images=pixels[..., 0])
    base = ["--data", str(tmp_path / "sorted.npz"), "--threads", "1", "-q"]
    teach = ["train", "--model", "lenet5", "--epochs", "6", "--batch-size", "32", *base]
    assert main([*teach, "-o", str(tmp_path / "t")]) == 0
    distill = ["distill", "--teacher", str(tmp_path / "t"), "--student", "lenet5", *base]
    distill += ["--transfer", str(tmp_path / "frames.npz"), "--with-baseline", "--epochs", "30"]
    assert main([*distill, "--batch-size", "10", "-o", str(tmp_path / "s")]) == 0
    student = read_json(tmp_path / "s" / MANIFEST, kind="checkpoint")
    alone = read_json(tmp_path / "s" / "baseline" / MANIFEST, kind="checkpoint")
    # 30 epochs of 60 images are as many steps as 10 of 180.
    assert (len(student["history"]), len(alone["history"])) == (30, 10)
    assert alone["metrics"]["test"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kd_weight": 0.0}, "expected a --kd-weight above 0"),
        ({"labels": 5}, "--transfer frames and --labels 5: expected one of them"),
        ({"ce_weight": 0.9}, "--transfer frames and --ce-weight 0.9: expected one of them"),
    ],
)
def test_what_a_transfer_set_leaves_no_sense_in_is_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        Teaching(transfer="frames", **settings).check()


def test_a_folder_for_logits_that_are_never_kept_is_refused():
    with pytest.raises(UsageError, match="--logits here and --keep-logits never: expected one"):
        Teaching(logits=Path("here"), keep_logits="never").check()


def test_a_leak_is_among_the_notes_of_the_transfer_set(tmp_path):
    pixels, _ = tiny.images(60, seed=3)
    np.savez(tmp_path / "frames.npz", images=pixels[:5, ..., 0])
    dataset = open_dataset(str(tiny.write_npz(tmp_path / "tiny.npz")))
    found = open_transfer(str(tmp_path / "frames.npz"), dataset, Run(), SILENT)
    assert "5 images also in test" in found.notes[-1]
