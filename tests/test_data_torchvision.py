"""torchvision's classification sets by name, with their own splits where they have them."""

import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from compress.data import fashion_mnist
from compress.data.indexed import IndexedImages, collect
from compress.data.open import open_dataset
from compress.data.torchvision_set import parse
from compress.errors import DataError
from compress.progress import SILENT

pytest.importorskip("torchvision")
FAKE = "torchvision:FakeData?size=60&num_classes=3&image_size=[3,6,5]"


@pytest.fixture(autouse=True)
def offline(tmp_path_factory, monkeypatch):
    def refuse(*args, **options):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def mnist(tmp_path):
    """A tiny MNIST where torchvision expects the real one."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in {"train": 40, "t10k": 20}.items():
        pixels = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, array in {"images-idx3": pixels, "labels-idx1": labels}.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return tmp_path


@pytest.fixture
def imagenette(tmp_path):
    """A tiny Imagenette: JPEGs of mixed sizes, a train and a val split, synonyms as names."""
    rng = np.random.default_rng(0)
    for split, count in {"train": 6, "val": 2}.items():
        for wnid in ("n01440764", "n02979186"):
            folder = tmp_path / "imagenette2" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (10 + i, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.jpeg")
    return tmp_path


def test_a_set_without_splits_is_cut():
    dataset = open_dataset(FAKE)
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [43, 5, 12]
    assert (dataset.channels, dataset.image_size) == (3, (6, 5))
    assert dataset.classes == ("0", "1", "2")


def test_a_set_with_train_and_test_keeps_them(mnist):
    dataset = open_dataset(f"torchvision:MNIST?root={mnist}")
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [30, 10, 20]
    assert (dataset.channels, dataset.image_size) == (1, (8, 8))
    assert dataset.classes[:2] == ("0 - zero", "1 - one")
    header = 16
    raw = (mnist / "MNIST/raw/t10k-images-idx3-ubyte").read_bytes()[header:]
    batch = dataset.test.images.batch(np.arange(20), (8, 8))
    assert batch.tobytes() == raw


def test_a_set_of_mixed_sizes_is_decoded_as_needed(imagenette):
    dataset = open_dataset(f"torchvision:Imagenette?root={imagenette}", val_fraction=0.34)
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [8, 4, 4]
    assert dataset.image_size is None
    assert dataset.classes == ("tench", "cassette player")
    assert dataset.train.images.batch(np.array([7, 0, 0]), (9, 9)).shape == (3, 9, 9, 3)
    assert "its validation split became test" in dataset.notes[0]


def test_the_same_set_has_the_same_fingerprint(imagenette):
    reference = f"torchvision:Imagenette?root={imagenette}"
    one, same, other = (open_dataset(reference, seed=seed).fingerprint for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CIFAR", "did you mean torchvision:CIFAR10?"),
        ("mnist", "did you mean torchvision:MNIST?"),
        ("", "expected the name of a set"),
        ("ImageFolder", "give your folder's path as --data"),
        ("MNIST?root", r"expected torchvision:NAME\?key=value&key=value, found root"),
        ("EMNIST", r"missing 1 required positional argument: 'split'"),
        ("EMNIST?split=latters", r"found another \(Unknown value 'latters' for argument split"),
        ("FakeData?sise=3", r"unexpected keyword argument 'sise'"),
        ("CIFAR10", r"found none that can be opened or downloaded \(<urlopen error no network>\)"),
    ],
)
def test_what_cannot_be_opened_is_refused(name, message):
    with pytest.raises(DataError, match=message):
        open_dataset(f"torchvision:{name}")


def test_arguments_are_read_as_json_where_they_can_be():
    assert parse("torchvision:X?root=/a+b/c=d&n=3&size=[1,2]&flag=true&word=abc") == (
        "X",
        {"root": "/a+b/c=d", "n": 3, "size": (1, 2), "flag": True, "word": "abc"},
    )


def test_a_set_of_another_task_is_refused():
    boxes = [(Image.new("RGB", (4, 4)), {"boxes": []})]
    with pytest.raises(DataError, match="one class number as item 0, found something else"):
        collect(boxes, "torchvision:Boxes", SILENT)


def test_items_in_palette_grey_and_colour_give_one_kind_of_batch():
    colour = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    items = [(colour, 0), (colour.convert("L"), 1), (colour.quantize(8), 1)]
    found = collect(items, "torchvision:X", SILENT)
    assert found.facts.grey.tolist() == [False, True, False]
    batch = IndexedImages("torchvision:X", items, 3, "crop").batch(np.array([2, 1, 0]), (4, 4))
    assert np.array_equal(batch[2], np.asarray(colour))
    assert np.array_equal(batch[1], np.asarray(colour.convert("L").convert("RGB")))


def test_a_file_of_a_set_that_disappears_is_named(imagenette):
    dataset = open_dataset(f"torchvision:Imagenette?root={imagenette}")
    for path in (imagenette / "imagenette2/val").rglob("*.jpeg"):
        path.unlink()
    with pytest.raises(DataError, match=r"Imagenette.*as item 0, found .*0\.jpeg"):
        dataset.test.images.batch(np.arange(1), (9, 9))


def test_fashion_mnist_that_is_nowhere_says_where_it_may_be_put(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path)
    with pytest.raises(DataError, match=r"cannot be downloaded \(.*apt install dataset-fashion-"):
        open_dataset("fashion-mnist")
