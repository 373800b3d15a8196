"""The embedded images are those that the repository's own script cuts from Fashion-MNIST."""

import gzip
import subprocess
import sys

import numpy as np
import pytest

from compress.data import build_demo, demo, fashion_mnist
from compress.data.fashion_mnist import DEBIAN_FOLDER, read_labelled
from compress.data.open import open_dataset
from compress.errors import DataError
from needs import needs

debian = needs(
    (DEBIAN_FOLDER / "train-images-idx3-ubyte.gz").is_file(),
    "Fashion-MNIST",
    package="dataset-fashion-mnist",
)


def write_idx(folder, train):
    """IDX files in Fashion-MNIST's form, unpacked, with `train` images of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in {"train": train, "t10k": 20}.items():
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, array in {"images-idx3": pixels, "labels-idx1": labels}.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.fixture
def source(tmp_path):
    return write_idx(tmp_path / "raw", train=40)


def test_the_embedded_arrays_have_the_recorded_hash_and_shape():
    dataset = open_dataset("demo")
    assert dataset.fingerprint == demo.FINGERPRINT
    assert (dataset.channels, dataset.image_size) == (1, (28, 28))
    for split, count in {"train": 900, "validation": 100, "test": 200}.items():
        assert np.bincount(dataset.split(split).labels).tolist() == [count] * 10
    assert dataset.classes == demo.CLASSES
    assert dataset.notes == ()


def test_seed_and_fractions_do_not_change_the_demo():
    assert open_dataset("demo", seed=3, val_fraction=0.5).fingerprint == demo.FINGERPRINT


def test_the_embedded_file_is_at_most_6_mb_and_has_its_licence_beside_it():
    assert demo.FILE.stat().st_size <= 6_000_000
    notice = (demo.FILE.parent / "LICENSE").read_text()
    assert "MIT License" in notice and "Copyright (c) 2017 Zalando SE" in notice


def test_a_damaged_demo_is_refused(tmp_path, monkeypatch):
    with np.load(demo.FILE) as content:
        arrays = dict(content)
    arrays["x_test"][0, 0, 0] ^= 1
    np.savez(tmp_path / "demo.npz", **arrays)
    monkeypatch.setattr(demo, "FILE", tmp_path / "demo.npz")
    with pytest.raises(DataError, match="install edge-compress again"):
        open_dataset("demo")


@debian
def test_the_script_makes_the_same_arrays_from_debians_files(tmp_path):
    out = tmp_path / "demo.npz"
    assert build_demo.main(["--out", str(out)]) == 0
    with np.load(out) as made, np.load(demo.FILE) as embedded:
        assert sorted(made) == sorted(embedded)
        assert all(np.array_equal(made[key], embedded[key]) for key in made)


@debian
def test_no_embedded_image_is_of_the_official_test_split():
    official = {pixels.tobytes() for pixels in read_labelled(DEBIAN_FOLDER, "t10k", "t10k").pixels}
    train = {pixels.tobytes() for pixels in read_labelled(DEBIAN_FOLDER, "train", "train").pixels}
    with np.load(demo.FILE) as content:
        for key in ("x_train", "x_val", "x_test"):
            embedded = {pixels.tobytes() for pixels in content[key]}
            assert embedded <= train
            assert not embedded & official


@debian
def test_the_full_set_keeps_its_own_test_split_and_cuts_validation_from_train():
    dataset = open_dataset("fashion-mnist", val_fraction=0.05)
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [57000, 3000, 10000]
    assert np.bincount(dataset.validation.labels).tolist() == [300] * 10
    official = read_labelled(DEBIAN_FOLDER, "t10k", "fashion-mnist")
    some = np.array([0, 9999])
    assert np.array_equal(dataset.test.images.batch(some, (28, 28)), official.pixels[some])
    assert np.array_equal(dataset.test.labels, official.labels)


def test_other_images_make_the_script_fail(tmp_path):
    source = write_idx(tmp_path / "raw", train=12_000)
    out = tmp_path / "demo.npz"
    run = subprocess.run(
        [sys.executable, "-m", "compress.data.build_demo", "--source", source, "--out", out],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "expected images that give the fingerprint" in run.stderr
    assert not out.exists()


def test_the_full_set_is_also_found_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edge-compress" / "torchvision" / "FashionMNIST"
    folder.mkdir(parents=True)
    write_idx(folder / "raw", train=40)
    dataset = open_dataset("fashion-mnist")
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [30, 10, 20]


def test_packed_and_unpacked_idx_files_read_alike(source):
    plain = read_labelled(source, "train", "x")
    for path in list(source.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = read_labelled(source, "train", "x")
    assert plain.pixels.shape == (40, 28, 28, 1)
    assert np.array_equal(plain.pixels, packed.pixels)
    assert np.array_equal(plain.labels, packed.labels)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("keep", [0, 3, 10, -1])
def test_a_truncated_idx_file_is_refused_by_name(source, name, keep):
    (source / name).write_bytes((source / name).read_bytes()[:keep])
    with pytest.raises(DataError, match=f"{name}: expected a whole IDX file"):
        read_labelled(source, "train", "x")


def test_a_truncated_packed_idx_file_is_refused_by_name(source):
    path = source / "train-images-idx3-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-100])
    with pytest.raises(DataError, match=r"ubyte\.gz: expected a whole IDX file"):
        read_labelled(source, "train", "x")


def test_too_few_images_make_the_script_fail(source, tmp_path):
    assert build_demo.main(["--source", str(source), "--out", str(tmp_path / "x.npz")]) == 1


def test_a_missing_source_is_refused(tmp_path):
    assert build_demo.main(["--source", str(tmp_path), "--out", str(tmp_path / "x.npz")]) == 1
