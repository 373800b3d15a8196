"""Files are written whole or not at all, and believed only after a look."""

import json
import stat
import subprocess
import sys

import pytest

from compress.artifacts import (
    SCHEMA,
    atomic_path,
    header,
    read_json,
    sha256_file,
    verify_sha256,
    write_bytes,
    write_json,
    write_text,
    write_with,
)
from compress.errors import ArtifactError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_content_and_is_readable_by_others(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "größer")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "größer".encode()
    assert stat.S_IMODE((tmp_path / "new" / "a.txt").stat().st_mode) == 0o644
    assert names(tmp_path / "new") == ["a.txt"]


def test_the_temporary_file_keeps_the_suffix_and_the_folder(tmp_path):
    seen = []
    write_with(tmp_path / "a.npz", lambda path: (seen.append(path), path.write_bytes(b"1")))
    assert seen[0].suffix == ".npz" and seen[0].parent == tmp_path
    assert names(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_earlier_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("earlier")
    with pytest.raises(error), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "earlier"


def test_a_full_disk_leaves_the_earlier_file_and_says_what_to_do(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"earlier")
    # A limit on the size of files fails in the same place as a disk without space.
    code = (
        "import pathlib, resource, sys\n"
        "from compress.artifacts import write_bytes\n"
        "from compress.errors import ArtifactError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    write_bytes(pathlib.Path(sys.argv[1]), bytes(10000))\n"
        "except ArtifactError as error:\n"
        "    print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.bin"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(f"{tmp_path / 'a.bin'}: cannot be written (File too large); free")
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"earlier"


def test_a_folder_that_cannot_be_made_is_an_artifact_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"a\.txt: cannot be written \(.*\); choose another"):
        write_bytes(tmp_path / "file" / "a.txt", b"")


def test_nan_is_refused_before_the_earlier_file_is_touched(tmp_path):
    write_json(tmp_path / "a.json", {"value": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"value": 1.5}


def test_what_was_written_is_read_back(tmp_path):
    content = {**header("bundle"), "classes": ["Käse", "\u4e2d"]}
    write_json(tmp_path / "bundle.json", content)
    assert read_json(tmp_path / "bundle.json", kind="bundle") == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such file; expected a bundle there"),
        (b"{", r"cannot be read as JSON \(.*\); make it again"),
        (b"\xff\xfe", r"cannot be read as JSON"),
        (b"[]", r"expected a bundle, found something else"),
        (b"{}", r"expected a bundle, found something else"),
        (b'{"kind": "report", "schema": 1}', r"expected a bundle, found report"),
        (b'{"kind": "bundle"}', rf"expected schema {SCHEMA}, found None; make it again"),
        (b'{"kind": "bundle", "schema": 99}', rf"expected schema {SCHEMA}, found 99"),
    ],
)
def test_json_that_is_not_ours_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bundle.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"bundle\.json: {message}"):
        read_json(path, kind="bundle")


def test_a_folder_in_place_of_json_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read as JSON"):
        read_json(tmp_path, kind="bundle")


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of nothing


def test_the_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert sha256_file(tmp_path / "a") == EMPTY


def test_a_file_that_fits_its_digest_passes(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    verify_sha256(tmp_path / "a", EMPTY, record="bundle.json", remedy="export again")


def test_a_file_that_differs_from_its_digest_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"differs from bundle\.json.*e3b0c44298fc….*; export"):
        verify_sha256(tmp_path / "a", EMPTY, record="bundle.json", remedy="export again")


def test_a_file_that_is_missing_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ArtifactError, match=r"a: named in bundle\.json but missing; export again"):
        verify_sha256(tmp_path / "a", EMPTY, record="bundle.json", remedy="export again")
