"""References that exist are read, others are answered with the forms and the nearest name."""

import subprocess
import sys

import numpy as np
import pytest

from compress.data.dataset import ArrayImages
from compress.data.open import FORMS, open_dataset
from compress.errors import DataError, UsageError
from compress.preprocess import Preprocessing, crop, resize


@pytest.mark.parametrize(
    ("reference", "suggestion"),
    [
        ("demoo", "did you mean demo?"),
        ("fashion_mnist", "did you mean fashion-mnist?"),
        ("torchvison:MNIST", "did you mean torchvision:MNIST?"),
        ("torchvision", "did you mean torchvision:CIFAR10?"),
        ("fotos", "did you mean photos?"),
        ("data.npx", "did you mean data.npz?"),
        ("qqqqq", "check the spelling"),
        ("no/such/place", "check the spelling"),
        ("", "check the spelling"),
    ],
)
def test_an_unknown_reference_is_answered_with_the_forms_and_the_nearest_name(
    tmp_path, monkeypatch, reference, suggestion
):
    (tmp_path / "photos").mkdir()
    (tmp_path / "data.npz").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refusal:
        open_dataset(reference)
    assert FORMS in str(refusal.value)
    assert suggestion in str(refusal.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "photos.zip").touch()
    with pytest.raises(DataError, match="a file of another kind; unpack it"):
        open_dataset(str(tmp_path / "photos.zip"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_fraction": 0.0}, "val_fraction: expected a share over 0 and under 1, found 0.0"),
        ({"test_fraction": 1.0}, "test_fraction: expected a share over 0 and under 1, found 1.0"),
        ({"val_fraction": float("nan")}, "val_fraction"),
        ({"max_bad": 1.5}, "max_bad: expected a share from 0 to 1, found 1.5"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"resize": "squash"}, "resize: expected crop or stretch, found squash"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        open_dataset("demo", **options)


def test_reading_data_loads_neither_torch_nor_onnx():
    code = (
        "import sys\n"
        "from compress.data.open import open_dataset\n"
        "open_dataset('demo').train.images\n"
        "print([m for m in ('torch', 'torchvision', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("rule", ["crop", "stretch"])
def test_arrays_meet_another_size_by_the_rule(rule):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 20, 3), dtype=np.uint8)
    batch = ArrayImages(pixels, rule).batch(np.array([3, 0]), (8, 8))
    spec = Preprocessing(size=(8, 8), channels=3, resize=rule)
    assert np.array_equal(batch, resize(crop(pixels[[3, 0]], spec), (8, 8)))


def test_a_split_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="split val: expected one of train, validation, test"):
        open_dataset("demo").split("val")
