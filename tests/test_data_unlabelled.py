"""Images without labels: any folder or array, in the dataset's channels, and no leak unsaid."""

import shutil

import numpy as np
import pytest
from PIL import Image

from compress.data.dataset import UNLABELLED
from compress.data.open import open_dataset
from compress.data.unlabelled import leak_notes, open_unlabelled
from compress.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def noise(seed, size=(6, 5), channels=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def save(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, **options)).save(path)


@pytest.fixture
def frames(tmp_path):
    """Six images, some in a folder, some deeper, some beside them."""
    root = tmp_path / "frames"
    for seed, name in enumerate(["b.png", "a.png", "test/1.png", "test/x y/2.png", "z/z/3.png"]):
        save(root / name, seed)
    return root


def open_colour(reference, **options):
    return open_unlabelled(str(reference), channels=3, **options)


def pixels(unlabelled, size=(6, 5)):
    return unlabelled.split.images.batch(np.arange(len(unlabelled.split)), size)


def test_images_anywhere_below_a_folder_are_found_in_the_order_of_their_names(frames):
    found = open_colour(frames)
    assert found.split.labels.tolist() == [UNLABELLED] * 5
    assert np.array_equal(pixels(found), [noise(seed) for seed in (1, 0, 2, 3, 4)])
    assert (found.image_size, found.notes) == ((6, 5), ())


def test_images_of_several_sizes_have_no_image_size(frames):
    save(frames / "c.png", 9, size=(7, 7))
    assert open_colour(frames).image_size is None


@pytest.mark.parametrize("key", ["images", "x_train", "x"])
def test_an_array_of_images_is_found_under_each_of_its_names(tmp_path, key):
    images = np.stack([noise(seed) for seed in range(4)])
    np.savez(tmp_path / "x.npz", **{key: images, "labels": np.arange(4)})
    found = open_colour(tmp_path / "x.npz")
    assert np.array_equal(pixels(found), images)
    assert found.image_size == (6, 5)


@pytest.mark.parametrize("source", ["folder", "npz"])
@pytest.mark.parametrize(("own", "wanted"), [(1, 3), (3, 1)])
def test_images_are_brought_to_the_channels_of_the_dataset(tmp_path, source, own, wanted):
    images = [noise(seed, channels=own) for seed in range(3)]
    for seed in range(3):
        save(tmp_path / f"folder/{seed}.png", seed, channels=own)
    np.savez(tmp_path / "npz.npz", x=np.stack(images))
    reference = tmp_path / ("folder" if source == "folder" else "npz.npz")
    batch = pixels(open_unlabelled(str(reference), channels=wanted))
    expected = [Image.fromarray(i).convert("L" if wanted == 1 else "RGB") for i in images]
    assert np.array_equal(batch, np.reshape(expected, (3, 6, 5, wanted)))


def test_the_fingerprint_follows_content_order_and_channels(frames, tmp_path):
    before = open_colour(frames).fingerprint
    shutil.copytree(frames, tmp_path / "copy")
    assert open_colour(tmp_path / "copy").fingerprint == before
    assert open_unlabelled(str(frames), channels=1).fingerprint != before
    (frames / "a.png").rename(frames / "c.png")
    assert open_colour(frames).fingerprint != before
    save(tmp_path / "copy/a.png", 77)
    assert open_colour(tmp_path / "copy").fingerprint != before


def test_an_unreadable_image_is_named_and_passed_over_up_to_the_share(frames):
    (frames / "test/bad.png").write_bytes(b"broken")
    found = open_colour(frames)
    assert len(found.split) == len(found.digests) == 5
    assert np.array_equal(pixels(found)[2], noise(2))
    assert "passed over 1 unreadable of 6 images (16.7%; test/bad.png:" in found.notes[0]
    with pytest.raises(DataError, match=r"expected at most 0\.0% unreadable images, found 1"):
        open_colour(frames, max_bad=0.0)


def test_stray_files_are_named(frames):
    (frames / "z/list.txt").touch()
    assert "passed over 1 stray file (z/list.txt)" in open_colour(frames).notes[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "expected an image folder or an .npz file, found nothing of that name"),
        ("", "unlabelled images: expected an image folder"),
        ("file.zip", "found a file of another kind"),
        ("empty", "expected images in or below it, found none but 1 other file; add some"),
        ("broken", "expected readable images, found none"),
        ("two.npz", "called images, x_train or x, found images, x; save"),
        ("other.npz", "called images, x_train or x, found none"),
        ("none.npz", "expected images in x, found none"),
        ("float.npz", "x: expected uint8 pixels"),
        ("damaged.npz", "expected a whole .npz file"),
    ],
)
def test_what_holds_no_images_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    images = np.stack([noise(0)])
    for folder, file in {"empty": "a.txt", "broken": "a.png"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    (tmp_path / "file.zip").touch()
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    np.savez("two.npz", images=images, x=images)
    np.savez("other.npz", pictures=images)
    np.savez("none.npz", x=images[:0])
    np.savez("float.npz", x=images / 255)
    with pytest.raises(DataError, match=message):
        open_colour(name)


def test_a_share_out_of_range_is_refused(frames):
    with pytest.raises(UsageError, match="max_bad"):
        open_colour(frames, max_bad=2.0)


def test_images_that_also_measure_are_counted(tmp_path):
    for i, (split, label) in enumerate(
        (s, c) for s in ("train", "val", "test") for c in "ab" for _ in range(2)
    ):
        save(tmp_path / f"photos/{split}/{label}/{i}.png", i)
    dataset = open_dataset(str(tmp_path / "photos"))
    whole = leak_notes(open_colour(tmp_path / "photos"), dataset)
    assert [note.split(": ", 1)[1] for note in whole] == [
        f"4 images also in {split} of {tmp_path}/photos, byte for byte; accuracy on them flatters"
        for split in ("validation", "test")
    ]
    assert leak_notes(open_colour(tmp_path / "photos/train"), dataset) == ()
    shutil.copy(tmp_path / "photos/test/b/11.png", tmp_path / "photos/train/again.png")
    (one,) = leak_notes(open_colour(tmp_path / "photos/train"), dataset)
    assert "1 image also in test" in one


def test_arrays_are_compared_with_arrays_and_not_with_files(tmp_path, frames):
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    labels = np.arange(6) % 2
    np.savez(
        tmp_path / "d.npz", x_train=images[:6], y_train=labels, x_test=images[6:], y_test=labels
    )
    np.savez(tmp_path / "u.npz", images=images[4:8])
    dataset = open_dataset(str(tmp_path / "d.npz"))
    shared = leak_notes(open_unlabelled(str(tmp_path / "u.npz"), channels=1), dataset)
    assert "2 images also in test" in shared[-1]
    (unknown,) = leak_notes(open_unlabelled(str(frames), channels=1), dataset)
    assert "cannot be told" in unknown


def test_arrays_in_other_channels_are_compared_as_the_dataset_has_them(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=3)
    labels = np.arange(6) % 2
    arrays = {"grey": (grey, colour), "colour": (colour, grey)}
    for name, (own, other) in arrays.items():
        parts = {"x_train": own[:6], "x_test": own[6:], "y_train": labels, "y_test": labels}
        np.savez(tmp_path / f"{name}.npz", **parts)
        np.savez(tmp_path / "u.npz", images=other[4:8])
        dataset = open_dataset(str(tmp_path / f"{name}.npz"))
        found = open_unlabelled(str(tmp_path / "u.npz"), channels=dataset.channels)
        assert "2 images also in test" in leak_notes(found, dataset)[-1]
