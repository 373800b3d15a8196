"""Memory does not follow the number of images of a folder."""

import gc
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from compress.data.names import Names
from compress.data.open import open_dataset
from compress.data.unlabelled import open_unlabelled


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def fill(root, count):
    """`count` images that differ in what follows their end, which decoders do not read."""
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG")
    for label in "ab":
        (root / label).mkdir(parents=True)
    for i in range(count):
        (root / "ab"[i % 2] / f"image-{i:08}.png").write_bytes(content.getvalue() + b"%d" % i)
    return root


def bytes_of(work):
    """Peak, and what is left while the result lives."""
    tracemalloc.start()
    kept = work()
    peak = tracemalloc.get_traced_memory()[1]
    gc.collect()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return np.array([peak, left])


@pytest.mark.parametrize("source", ["labelled", "unlabelled"])
def test_an_image_of_a_folder_costs_some_hundred_bytes_whether_scanned_or_recalled(
    tmp_path, source
):
    few, many = fill(tmp_path / "few", 300), fill(tmp_path / "many", 1300)

    def open_it(root):
        if source == "unlabelled":
            return open_unlabelled(str(root), channels=1)
        return open_dataset(str(root))

    open_it(fill(tmp_path / "other", 6))  # imports
    for when in ("scanned", "recalled"):
        growth = bytes_of(lambda: open_it(many)) - bytes_of(lambda: open_it(few))
        peak, left = growth / 1000
        assert left < 120
        if when == "recalled":  # a scan's peak is that of the images which it decodes just then
            assert peak < 450


def test_names_are_given_back_as_they_were():
    names = ["a/b.png", "", "Zé.png", "a\udcff.png"]
    packed = Names.of(names)
    assert list(packed) == names
    assert packed[np.int64(2)] == "Zé.png"
    assert list(packed.between(1, 3)) == names[1:3]
    assert list(packed.chosen(np.array([3, 0, 3]))) == [names[3], names[0], names[3]]
    parts = [packed.between(2, 4), Names.of([]), packed.between(0, 1)]
    assert list(Names.joined(parts)) == [*names[2:], names[0]]
    with pytest.raises(IndexError):
        packed[4]
