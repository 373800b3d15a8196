"""An image folder becomes three splits; what is wrong with it is said in a sentence."""

import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from compress.data.open import open_dataset
from compress.errors import DataError
from compress.preprocess import Preprocessing, crop, resize


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def fill(folder, count, *, first=0, size=(6, 5), grey=False):
    """Write `count` different images into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        rng = np.random.default_rng([i, *folder.name.encode(), *folder.parent.name.encode()])
        pixels = rng.integers(0, 256, size if grey else (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")


@pytest.fixture
def photos(tmp_path):
    """Two classes of twenty images, not split."""
    fill(tmp_path / "photos/cat", 20)
    fill(tmp_path / "photos/dog", 20)
    return tmp_path / "photos"


@pytest.fixture
def split_photos(tmp_path):
    for split, count in {"train": 10, "val": 3, "test": 4}.items():
        fill(tmp_path / f"photos/{split}/cat", count)
        fill(tmp_path / f"photos/{split}/dog", count)
    return tmp_path / "photos"


def names(split):
    images = split.images
    chosen = getattr(images, "chosen", range(len(images)))
    paths = [getattr(images, "images", images).path(i) for i in chosen]
    return [f"{path.parent.name}/{path.name}" for path in paths]


def test_splits_of_its_own_are_kept(split_photos):
    dataset = open_dataset(str(split_photos))
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [20, 6, 8]
    assert dataset.classes == ("cat", "dog")
    assert dataset.test.labels.tolist() == [0] * 4 + [1] * 4
    assert dataset.notes == ()


@pytest.mark.parametrize("name", ["valid", "validation", "Val"])
def test_the_validation_folder_may_be_called_in_several_ways(split_photos, name):
    (split_photos / "val").rename(split_photos / name)
    assert len(open_dataset(str(split_photos)).validation) == 6


def test_classes_alone_are_split_by_fractions_and_said_so(photos):
    dataset = open_dataset(str(photos), val_fraction=0.25, test_fraction=0.2)
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [24, 8, 8]
    everything = [n for s in ("train", "validation", "test") for n in names(dataset.split(s))]
    assert len(set(everything)) == 40
    assert "8 images of train became test (seed 0)" in dataset.notes[0]
    assert "8 images of train became validation (seed 0)" in dataset.notes[1]


def test_a_missing_validation_or_test_folder_is_cut_from_train(split_photos):
    shutil.rmtree(split_photos / "val")
    shutil.rmtree(split_photos / "test")
    dataset = open_dataset(str(split_photos))
    assert [len(dataset.split(s)) for s in ("train", "validation", "test")] == [14, 2, 4]


def test_a_new_file_of_one_class_leaves_the_splits_of_another(photos):
    before = open_dataset(str(photos))
    fill(photos / "dog", 2, first=20)
    after = open_dataset(str(photos))
    for split in ("train", "validation", "test"):
        cats = [[n for n in names(d.split(split)) if "cat" in n] for d in (before, after)]
        assert cats[0] == cats[1]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "train"):
        fill(tmp_path / name, 4)
    assert open_dataset(str(tmp_path)).classes == ("bus", "train")


def test_folders_inside_a_class_belong_to_it(photos):
    fill(photos / "cat" / "kittens", 5)
    assert len(open_dataset(str(photos)).train.labels) == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: shutil.rmtree(root / "test/dog"),
            r"same class folders in train and test, found others \(only in train: dog\)",
        ),
        (
            lambda root: fill(root / "val/cow", 1),
            r"same class folders in train and val, found others \(only in val: cow\)",
        ),
        (
            lambda root: (root / "train/cow").mkdir(),
            r"train/cow: expected images of the class cow, found none; add some",
        ),
        (
            lambda root: (root / "train").rename(root / "learn"),
            r"either splits .* or classes, found test, val beside learn",
        ),
        (
            lambda root: shutil.rmtree(root / "train"),
            r"expected a folder train beside test, val, found none",
        ),
        (
            lambda root: shutil.copytree(root / "val", root / "valid"),
            r"expected one folder for validation, found val and valid",
        ),
    ],
)
def test_splits_that_do_not_fit_are_refused(split_photos, change, message):
    change(split_photos)
    with pytest.raises(DataError, match=message):
        open_dataset(str(split_photos))


def test_images_without_class_folders_are_refused(tmp_path):
    fill(tmp_path / "photos", 3)
    with pytest.raises(DataError, match="a folder for each class, found none but 3 images without"):
        open_dataset(str(tmp_path / "photos"))


def test_flat_train_and_test_are_not_taken_for_two_classes(tmp_path):
    for name in ("train", "test"):
        fill(tmp_path / name, 3)
    with pytest.raises(DataError, match="test: expected a folder for each class in it, found none"):
        open_dataset(str(tmp_path))


def test_a_single_class_is_refused(photos):
    shutil.rmtree(photos / "dog")
    with pytest.raises(DataError, match=r"at least 2 classes, found 1 \(cat\)"):
        open_dataset(str(photos))


def test_a_class_with_a_single_image_is_refused(photos):
    fill(photos / "cow", 1)
    with pytest.raises(DataError, match="class cow has 1 image to cut test from"):
        open_dataset(str(photos))


def test_stray_files_are_named_and_passed_over(photos):
    (photos / "notes.txt").write_text("about")
    (photos / "cat" / "Thumbs.db").write_bytes(b"\0")
    (photos / "cat" / "._001.png").write_bytes(b"\0")
    (photos / ".git").mkdir()
    (note, *_) = open_dataset(str(photos)).notes
    assert "passed over 4 stray files (.git, cat/._001.png, cat/Thumbs.db and 1 more)" in note


def test_one_unreadable_image_is_named_and_passed_over_however_small_the_folder(photos):
    (photos / "cat" / "003.png").write_bytes(b"broken")
    dataset = open_dataset(str(photos))
    assert "passed over 1 unreadable of 40 images (2.5%; cat/003.png:" in dataset.notes[0]
    assert sum(len(dataset.split(s)) for s in ("train", "validation", "test")) == 39


def test_two_unreadable_images_above_the_share_are_refused(photos):
    for name in ("003.png", "004.png"):
        (photos / "dog" / name).write_bytes(b"broken")
    with pytest.raises(DataError) as refusal:
        open_dataset(str(photos))
    assert "expected at most 1.0% unreadable images" in str(refusal.value)
    assert "found 2 unreadable of 40 images (5.0%; dog/003.png: of no known" in str(refusal.value)
    assert "--max-bad" in str(refusal.value)
    assert len(open_dataset(str(photos), max_bad=0.05).train) > 0


def test_with_max_bad_0_a_single_unreadable_image_is_refused(photos):
    (photos / "cat" / "003.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"at most 0\.0% unreadable"):
        open_dataset(str(photos), max_bad=0)


def test_a_class_of_unreadable_images_is_refused(photos):
    (photos / "cow").mkdir()
    (photos / "cow" / "1.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match="cow: expected readable images of the class cow, found 1"):
        open_dataset(str(photos))


def test_a_link_that_leads_back_is_not_followed(photos):
    (photos / "cat" / "loop").symlink_to(photos)
    (photos / "cat" / "again").symlink_to(photos / "cat")
    dataset = open_dataset(str(photos))
    assert "(cat/again/, cat/loop/)" in dataset.notes[0]
    assert len(names(dataset.train)) == 28 and len(names(dataset.test)) == 8


def test_a_link_to_nothing_counts_as_unreadable(photos):
    (photos / "cat" / "gone.png").symlink_to(photos / "nowhere.png")
    assert "cat/gone.png: No such file" in open_dataset(str(photos)).notes[0]


def test_the_same_image_in_two_splits_is_said(split_photos):
    shutil.copy(split_photos / "train/cat/000.png", split_photos / "test/cat/twin.png")
    assert "1 image of test also in train" in open_dataset(str(split_photos)).notes[0]


def test_grey_images_alone_make_a_grey_dataset_and_one_of_colour_ends_that(tmp_path):
    fill(tmp_path / "cat", 4, grey=True)
    fill(tmp_path / "dog", 4, grey=True)
    grey = open_dataset(str(tmp_path))
    assert grey.channels == 1
    assert grey.train.images.batch(np.arange(2), (6, 5)).shape == (2, 6, 5, 1)
    fill(tmp_path / "dog", 1, first=4)
    mixed = open_dataset(str(tmp_path))
    assert mixed.channels == 3
    assert mixed.train.images.batch(np.arange(2), (6, 5)).shape == (2, 6, 5, 3)


def test_the_image_size_is_known_only_where_all_are_alike(photos):
    assert open_dataset(str(photos)).image_size == (6, 5)
    fill(photos / "cat", 1, first=20, size=(9, 9))
    assert open_dataset(str(photos)).image_size is None


@pytest.mark.parametrize("rule", ["crop", "stretch"])
def test_batches_follow_the_indices_and_the_rule(photos, rule):
    fill(photos / "cat", 8, first=20, size=(30, 21))
    images = open_dataset(str(photos), resize=rule).train.images
    indices = np.array([30, 2, 2, 17])
    batch = images.batch(indices, (12, 8))
    spec = Preprocessing(size=(12, 8), channels=3, resize=rule)
    for pixels, index in zip(batch, indices, strict=True):
        path = images.images.path(images.chosen[index])
        alone = np.asarray(Image.open(path))[None]
        assert np.abs(pixels.astype(int) - resize(crop(alone, spec), (12, 8))[0]).max() <= 1


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name, 12, size=(300, 300))
    images = open_dataset(str(tmp_path)).train.images
    tracemalloc.start()
    for start in range(0, 16, 4):
        images.batch(np.arange(start, start + 4), (8, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 300 * 3 * 6  # 4 at once and some room, not 17


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"broken")])
def test_a_file_that_breaks_after_the_scan_is_named(photos, damage):
    dataset = open_dataset(str(photos))
    damage(photos / names(dataset.train)[0])
    with pytest.raises(DataError, match=r"expected the image that was readable when .* scanned"):
        dataset.train.images.batch(np.arange(2), (6, 5))


def test_the_fingerprint_follows_content_labels_and_splits(photos, tmp_path):
    before = open_dataset(str(photos)).fingerprint
    shutil.copytree(photos, tmp_path / "copy")
    assert open_dataset(str(tmp_path / "copy")).fingerprint == before
    assert open_dataset(str(photos), seed=1).fingerprint != before
    assert open_dataset(str(photos), val_fraction=0.3).fingerprint != before
    Image.new("RGB", (6, 5)).save(photos / "cat" / "000.png")
    assert open_dataset(str(photos)).fingerprint != before
    (tmp_path / "copy" / "cat").rename(tmp_path / "copy" / "cow")
    assert open_dataset(str(tmp_path / "copy")).fingerprint != before
