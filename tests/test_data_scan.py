"""What a scan finds is remembered until a file changes, and never trusted blindly."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from compress.data.scan import Scanned, scan_files
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


def break_quietly(path):
    """Damage a file but leave its size and time: only a new look at its content could tell."""
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_scan_finds_digest_size_and_colour(photos, cache):
    found = scan_files(photos, NAMES, SILENT).readable["1.png"]
    assert (found.height, found.width, found.grey) == (4, 5, False)
    assert len(found.sha256) == 64


def test_the_next_scan_decodes_nothing_again(photos, cache):
    first = scan_files(photos, NAMES, SILENT)
    for name in NAMES:
        break_quietly(photos / name)
    assert scan_files(photos, NAMES, SILENT) == first


def test_a_file_that_changed_is_looked_at_again(photos, cache):
    scan_files(photos, NAMES, SILENT)
    (photos / "1.png").write_bytes(b"broken")
    found = scan_files(photos, NAMES, SILENT)
    assert list(found.readable) == ["0.png", "2.png"]
    assert list(found.unreadable) == ["1.png"]


def test_an_unreadable_file_is_tried_again_next_time(photos, cache):
    good = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(b"\0" * len(good))
    status = (photos / "1.png").stat()
    assert "1.png" in scan_files(photos, NAMES, SILENT).unreadable
    (photos / "1.png").write_bytes(good)
    os.utime(photos / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "1.png" in scan_files(photos, NAMES, SILENT).readable


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"header": [1]}', b'{"files": 3}', b"\xff\xfe", None]
)
def test_a_damaged_cache_is_ignored(photos, cache, content):
    first = scan_files(photos, NAMES, SILENT)
    (file,) = cache.iterdir()
    if content is None:  # the right header over entries of another form
        content = json.dumps({**json.loads(file.read_text()), "files": {"0.png": [1]}}).encode()
    file.write_bytes(content)
    assert scan_files(photos, NAMES, SILENT) == first


def test_a_cache_of_another_pillow_is_ignored(photos, cache):
    scan_files(photos, NAMES, SILENT)
    (file,) = cache.iterdir()
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "header": [content["header"][0], "0.0"]}))
    break_quietly(photos / "0.png")
    assert "0.png" in scan_files(photos, NAMES, SILENT).unreadable


def test_a_cache_that_cannot_be_written_is_done_without(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(scan_files(photos, NAMES, SILENT).readable) == 3


def test_a_cache_folder_that_is_no_absolute_path_is_not_used(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    scan_files(photos, NAMES, SILENT)
    assert len(list((tmp_path / "home/.cache/edge-compress/scans").iterdir())) == 1


def test_a_name_that_is_no_text_is_remembered_too(photos, cache):
    odd = os.fsdecode(b"\xff.png")
    (photos / "0.png").rename(photos / odd)
    first = scan_files(photos, [odd], SILENT)
    assert isinstance(first.readable[odd], Scanned)
    break_quietly(photos / odd)
    assert scan_files(photos, [odd], SILENT) == first
