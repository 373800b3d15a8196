"""An .npz file becomes three splits, or a sentence that says what is wrong with it."""

import numpy as np
import pytest

from compress.data.open import open_dataset
from compress.errors import DataError


def arrays(**changes):
    """Three classes, grey 4 x 5 images; `changes` replace or (None) remove arrays."""
    rng = np.random.default_rng(0)

    def part(count):
        return rng.integers(0, 256, (count, 4, 5), dtype=np.uint8), np.arange(count) % 3

    (x_train, y_train), (x_test, y_test) = part(30), part(9)
    whole = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test, **changes}
    return {key: array for key, array in whole.items() if array is not None}


def opened(tmp_path, content, **options):
    np.savez(tmp_path / "data.npz", **content)
    return open_dataset(str(tmp_path / "data.npz"), **options)


def test_validation_is_cut_from_train_and_test_is_kept(tmp_path):
    content = arrays()
    dataset = opened(tmp_path, content, val_fraction=0.2)
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [24, 6, 9]
    assert np.bincount(dataset.validation.labels).tolist() == [2, 2, 2]
    batch = dataset.test.images.batch(np.array([8, 0]), (4, 5))
    assert np.array_equal(batch, content["x_test"][[8, 0]][..., None])


def test_validation_of_its_own_is_kept(tmp_path):
    content = arrays(x_val=np.zeros((2, 4, 5), np.uint8), y_val=np.array([0, 1]))
    dataset = opened(tmp_path, content)
    assert len(dataset.train) == 30
    assert dataset.validation.labels.tolist() == [0, 1]
    assert dataset.notes == (f"{dataset.name}: validation has no image of 2",)


def test_train_and_validation_keep_images_and_labels_together(tmp_path):
    content = arrays()
    content["x_train"][:, 0, 0] = content["y_train"]
    dataset = opened(tmp_path, content)
    for split in (dataset.train, dataset.validation):
        pixels = split.images.batch(np.arange(len(split)), (4, 5))
        assert np.array_equal(pixels[:, 0, 0, 0], split.labels)


def test_colour_images_and_class_names_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    content = arrays(
        x_train=rng.integers(0, 256, (30, 4, 5, 3), dtype=np.uint8),
        x_test=rng.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8),
        classes=np.array(["cat", "dog", "cow"]),
    )
    dataset = opened(tmp_path, content)
    assert (dataset.channels, dataset.image_size) == (3, (4, 5))
    assert dataset.classes == ("cat", "dog", "cow")


def test_seed_changes_the_cut_and_with_it_the_fingerprint(tmp_path):
    one, same, other = (opened(tmp_path, arrays(), seed=seed) for seed in (0, 0, 1))
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("key", ["x_test", "y_train"])
def test_one_pixel_or_label_changes_the_fingerprint(tmp_path, key):
    content = arrays()
    before = opened(tmp_path, content).fingerprint
    content[key] = content[key].copy()
    content[key].flat[0] = 1 if content[key].flat[0] != 1 else 2
    assert opened(tmp_path, content).fingerprint != before


IMAGES = np.zeros((30, 4, 5), np.uint8)
BAD = {
    "no test": (
        {"x_test": None, "y_test": None},
        "expected the arrays x_train.*add x_test, y_test",
    ),
    "no labels": ({"y_train": None}, "found x_test, x_train, y_test; add y_train"),
    "half a validation": ({"x_val": IMAGES}, "add y_val"),
    "misspelt": ({"x_valid": IMAGES}, "found x_valid; did you mean x_val?"),
    "floats": ({"x_train": IMAGES / 2.0}, r"uint8 pixels .*found float64; save \(x \* 255\)"),
    "deep": ({"x_train": IMAGES.astype(np.uint16)}, "uint8 pixels from 0 to 255, found uint16"),
    "channels first": ({"x_train": np.zeros((30, 3, 4, 5), np.uint8)}, "move the channels to"),
    "flat": (
        {"x_train": np.zeros((30, 20), np.uint8)},
        r"expected images \[N, H, W\].*\[30, 20\]",
    ),
    "no pixels": ({"x_train": np.zeros((30, 0, 5), np.uint8)}, r"found \[30, 0, 5\]"),
    "other size": ({"x_test": np.zeros((9, 4, 4), np.uint8)}, r"found \[4, 4, 1\] in test"),
    "NaN": ({"y_train": np.where(np.arange(30) < 2, np.nan, 1)}, "found 2 of 30 NaN"),
    "float labels": ({"y_train": np.ones(30)}, "integer labels, found float64"),
    "text labels": ({"y_train": np.array(["a"] * 30)}, "integer labels, found <U1"),
    "one-hot": ({"y_train": np.eye(3, dtype=int)[np.arange(30) % 3]}, "argmax"),
    "negative": ({"y_train": np.arange(30) % 3 - 1}, "labels from 0 on, found -1 to 1"),
    "huge": ({"y_train": np.full(30, 2**63, np.uint64)}, "labels from 0 on"),
    "far": ({"y_test": np.full(9, 10**6)}, "without gaps from 0, found the label 1000000"),
    "lengths": ({"y_train": np.arange(29) % 3}, r"as many labels in y_train .*\(30\), found 29"),
    "gap": ({"y_train": np.arange(30) % 2 * 2}, "each of 3 classes, found none of 1"),
    "only in test": ({"y_test": np.full(9, 3)}, "each of 4 classes, found none of 3"),
    "empty": (
        {"x_test": IMAGES[:0], "y_test": np.arange(0)},
        "images in test, found none; fill it",
    ),
    "all empty": (
        {
            "x_train": IMAGES[:0],
            "y_train": np.arange(0),
            "x_test": IMAGES[:0],
            "y_test": np.arange(0),
        },
        "at least 2 classes, found 0",
    ),
    "one class": ({"y_train": np.zeros(30, int), "y_test": np.zeros(9, int)}, "at least 2 classes"),
    "few names": ({"classes": np.array(["a", "b"])}, r"from 0 to 1 \(2 classes\), found 2"),
    "same names": ({"classes": np.array(["a", "b", "a"])}, "distinct class names, found a more"),
    "numbers as names": ({"classes": np.arange(3)}, "classes as a list of names, found int64"),
    "pickle": ({"y_train": np.array([{}] * 30, dtype=object)}, "whole .npz file of plain arrays"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_said(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as refusal:
        opened(tmp_path, arrays(**changes))
    assert str(refusal.value).startswith(str(tmp_path / "data.npz"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_truncated_file_is_refused(tmp_path, share, save):
    path = tmp_path / "data.npz"
    save(path, **arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"data\.npz: expected a whole \.npz file"):
        open_dataset(str(path))


def test_flipped_bytes_inside_an_array_are_noticed(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[400:404] = b"\xff\x00\xff\x00"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset(str(path))


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "data.npy", IMAGES)
    (tmp_path / "data.npy").rename(tmp_path / "data.npz")
    with pytest.raises(DataError, match="a single array"):
        open_dataset(str(tmp_path / "data.npz"))
