"""What a scan finds is remembered until a file changes, and never trusted blindly."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from compress.data.names import Names
from compress.data.scan import scan_files
from compress.progress import SILENT


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edge-compress" / "scans"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((4, 5, 3), [i, 0, 9], dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


NAMES = ["0.png", "1.png", "2.png"]


def scan(folder, names=NAMES):
    """(digest, size, grey) by name of what can be read, and the reasons by name of what cannot."""
    found = scan_files(folder, Names.of(names), SILENT)
    facts = zip(
        found.facts.digests.rows, found.facts.sizes.tolist(), found.facts.grey.tolist(), strict=True
    )
    readable = {
        names[i]: (digest.tobytes(), tuple(size), grey)
        for i, (digest, size, grey) in zip(found.readable, facts, strict=True)
    }
    return readable, {names[i]: reason for i, reason in found.unreadable.items()}


def rewrite(file, **changed):
    """Change arrays of a cache."""
    with np.load(file) as cache:
        arrays = dict(cache)
    np.savez(file, **(arrays | changed))


def break_quietly(path):
    """Damage a file but leave its size and time: only a new look at its content could tell."""
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_scan_finds_digest_size_and_colour(photos, cache):
    digest, size, grey = scan(photos)[0]["1.png"]
    assert (size, grey) == ((4, 5), False)
    assert digest == hashlib.sha256((photos / "1.png").read_bytes()).digest()


def test_the_next_scan_decodes_nothing_again(photos, cache):
    first = scan(photos)
    for name in NAMES:
        break_quietly(photos / name)
    assert scan(photos) == first


def test_a_file_that_changed_is_looked_at_again(photos, cache):
    scan(photos)
    (photos / "1.png").write_bytes(b"broken")
    readable, unreadable = scan(photos)
    assert list(readable) == ["0.png", "2.png"]
    assert list(unreadable) == ["1.png"]


def test_an_unreadable_file_is_tried_again_next_time(photos, cache):
    good = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(b"\0" * len(good))
    status = (photos / "1.png").stat()
    assert "1.png" in scan(photos)[1]
    (photos / "1.png").write_bytes(good)
    os.utime(photos / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "1.png" in scan(photos)[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_bytes(file.read_bytes().replace(b"NUMPY", b"NUMBY")),
        lambda file: np.savez(file, header=np.array(["2"])),
        lambda file: rewrite(file, sha256=np.zeros((3, 16), dtype=np.uint8)),
        lambda file: rewrite(file, shape=np.zeros((1, 2), dtype=np.int32)),
        lambda file: rewrite(file, size=np.zeros(3)),
        lambda file: rewrite(file, name=np.array([], dtype="S16")),
    ],
)
def test_a_damaged_cache_is_ignored(photos, cache, damage):
    first = scan(photos)
    (file,) = cache.iterdir()
    damage(file)
    assert scan(photos) == first


def test_one_flipped_bit_of_the_cache_is_noticed(photos, cache):
    first = scan(photos)
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    content[content.index(first[0]["1.png"][0])] ^= 1
    file.write_bytes(content)
    assert scan(photos) == first


def test_what_is_remembered_is_found_by_name_whatever_came_and_went(photos, cache):
    first = scan(photos)
    for name in NAMES:
        break_quietly(photos / name)
    Image.new("L", (3, 2)).save(photos / "00.png")
    readable, _ = scan(photos, ["00.png", "2.png", "1.png"])
    assert list(readable) == ["00.png", "2.png", "1.png"]
    assert readable["00.png"][1:] == ((2, 3), True)
    assert {name: readable[name] for name in ("1.png", "2.png")} == {
        name: first[0][name] for name in ("1.png", "2.png")
    }


def test_a_cache_of_another_pillow_is_ignored(photos, cache):
    scan(photos)
    (file,) = cache.iterdir()
    with np.load(file) as arrays:
        schema = arrays["header"][0]
    rewrite(file, header=np.array([schema, "0.0"]))
    break_quietly(photos / "0.png")
    assert "0.png" in scan(photos)[1]


def test_a_cache_that_cannot_be_written_is_done_without(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(scan(photos)[0]) == 3


def test_a_cache_folder_that_is_no_absolute_path_is_not_used(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    scan(photos)
    assert len(list((tmp_path / "home/.cache/edge-compress/scans").iterdir())) == 1


def test_a_name_that_is_no_text_is_remembered_too(photos, cache):
    odd = os.fsdecode(b"\xff.png")
    (photos / "0.png").rename(photos / odd)
    first = scan(photos, [odd])
    assert list(first[0]) == [odd]
    break_quietly(photos / odd)
    assert scan(photos, [odd]) == first
