"""A folder in which a search was before: what is replaced, and what is the user's."""

import json
import shutil
from pathlib import Path

import pytest

from compress.errors import ArtifactError
from compress.search.folder import clear, forget, refuse_other, take_bundle, write_recipe
from compress.stage import RESOLVED


def _write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _record(search: Path, kind: str = "search record") -> Path:
    return _write(search / "record.json", json.dumps({"schema": 1, "kind": kind}))


def _bundle(folder: Path, digest: str, subject: Path, **more: object) -> Path:
    entry = {"student": {"sha256": digest}}
    content = {"schema": 1, "kind": "bundle", "variants": entry, **more}
    _write(folder / "bundle.json", json.dumps(content))
    _write(folder / "student.onnx", digest)
    _write(folder / "recipe.yaml", f"{RESOLVED}export: {{subject: {subject}}}\n")
    return folder


def test_force_clears_what_a_search_left_wherever_it_was_killed(tmp_path):
    search = tmp_path / "search"
    clear(search)
    _write(search / "screening-0123/student.onnx")  # before anything was measured
    clear(search)
    assert not search.exists()
    _record(search)
    _write(search / "a/student/model.safetensors")
    _write(search / "logits-16x16/logits.json")
    _write(search / ".bundle/student.onnx")
    clear(search)
    assert not search.exists()


@pytest.mark.parametrize(
    "name", ["notes.txt", "b/notes.txt", "a/student/notes.txt", "b/student", "logits/notes.txt"]
)
def test_force_clears_nothing_where_there_is_anything_else(tmp_path, name):
    search = tmp_path / "search"
    record, mine = _record(search), _write(search / name, "mine")
    with pytest.raises(ArtifactError, match="expected what a search left"):
        clear(search)
    assert record.is_file() and mine.is_file()


def test_force_keeps_files_that_only_are_called_like_a_search_s(tmp_path):
    record = _record(tmp_path / "search", kind="my own")
    with pytest.raises(ArtifactError, match=r"found other files \(record.json\)"):
        clear(tmp_path / "search")
    assert record.is_file()


def test_another_winners_files_replace_those_of_the_one_before(tmp_path):
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    first = _bundle(search / "a/bundle", "1", search / "a/student")
    take_bundle(first, bundle, search)
    take_bundle(_bundle(search / "b/bundle", "2", search / "b/student"), bundle, search)
    assert (bundle / "student.onnx").read_text() == "2"
    assert not (search / ".bundle").exists()


def test_files_that_no_export_wrote_are_not_removed_with_a_bundle(tmp_path):
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    first = _bundle(search / "a/bundle", "1", search / "a/student")
    take_bundle(first, bundle, search)
    _write(bundle / "student.pyz", "packed")
    other = _bundle(search / "b/bundle", "2", search / "b/student")
    with pytest.raises(ArtifactError, match=r"found others \(student.pyz\)"):
        take_bundle(other, bundle, search)
    with pytest.raises(ArtifactError, match=r"found others \(student.pyz\)"):
        refuse_other(bundle, search, force=True)
    refuse_other(bundle, search, force=False)  # the same winner again replaces nothing
    assert (bundle / "student.pyz").read_text() == "packed"


def test_the_same_winners_bundle_stays_as_bench_left_it(tmp_path):
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    first = _bundle(search / "a/bundle", "1", search / "a/student")
    _bundle(bundle, "1", search / "a/student", sweep={"threads": 2})
    take_bundle(first, bundle, search)
    assert "sweep" in (bundle / "bundle.json").read_text()


def test_a_recipe_is_called_what_it_is_the_winners_or_the_nearests(tmp_path):
    write_recipe({"won": True, "recipe": "a"}, tmp_path)
    write_recipe({"won": False, "recipe": "b"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["nearest.yaml"]
    write_recipe({"won": True, "recipe": "c"}, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["c"]


def test_goals_that_nobody_can_meet_leave_no_earlier_winner(tmp_path):
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    _bundle(bundle, "1", search / "a/student")
    _write(tmp_path / "winner.yaml")
    _write(tmp_path / "report.html")
    report = {"schema": 1, "kind": "report", "search": {}}
    _write(tmp_path / "report.json", json.dumps(report))
    forget(tmp_path, bundle, search)
    assert list(tmp_path.iterdir()) == []


def test_what_no_search_made_outlives_goals_that_nobody_can_meet(tmp_path):
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    _bundle(bundle, "1", tmp_path / "student")
    _write(tmp_path / "report.json", json.dumps({"schema": 1, "kind": "report"}))
    forget(tmp_path, bundle, search)
    shutil.rmtree(bundle)
    _bundle(bundle, "1", search / "a/student")
    _write(bundle / "notes.txt")
    forget(tmp_path, bundle, search)
    assert (bundle / "student.onnx").is_file() and (tmp_path / "report.json").is_file()
