"""A stage's folder: begun, gone on with, finished, never mixed."""

import pickle
import shutil
from pathlib import Path

import pytest

from compress.errors import ArtifactError
from compress.settings import Run, Training
from compress.stage import adopt_stage, open_stage, read_settings, settings_of

SETTINGS = {"epochs": 3, "model": "lenet5"}


def _look(out, settings=SETTINGS, command="train", *, force=False):
    return open_stage(out, command, settings, result="manifest.json", force=force)


def _open(out, settings=SETTINGS, command="train", *, force=False):
    stage = _look(out, settings, command, force=force)
    stage.begin()
    return stage


def _contents(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_looking_at_a_folder_changes_nothing(tmp_path):
    out = _begun(tmp_path / "run")
    (out / "manifest.json").write_text("{}")
    (out / ".writing-abc.pt").write_bytes(b"half")
    before = _contents(out)
    assert _look(out).finished
    assert not _look(out, {**SETTINGS, "epochs": 4}, force=True).finished
    with pytest.raises(ArtifactError):
        _look(out, {**SETTINGS, "epochs": 4})
    assert _contents(out) == before
    assert not _look(tmp_path / "new").finished
    assert not (tmp_path / "new").exists()


def test_a_stage_that_another_process_opened_can_be_begun(tmp_path):
    stage = pickle.loads(pickle.dumps(_look(tmp_path / "new")))
    stage.begin()
    assert read_settings(tmp_path / "new/recipe.yaml") == {"train": SETTINGS}


def test_a_kill_on_the_way_of_force_leaves_a_folder_that_can_be_gone_on_with(tmp_path, monkeypatch):
    """Killed at each removal in turn: both the old command and --force may be given again."""
    whole = _begun(tmp_path / "whole")
    for name in ("manifest.json", "model.safetensors", "history.csv", "predictions.npz"):
        (whole / name).write_text(name)
    for removals in range(5):
        out = tmp_path / f"killed-{removals}"
        shutil.copytree(whole, out)
        left = iter(range(removals))

        def unlink(path, missing_ok=False, left=left, real=Path.unlink):
            if next(left, None) is None:
                raise KeyboardInterrupt
            real(path, missing_ok=missing_ok)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Path, "unlink", unlink)
            _open(out, {**SETTINGS, "epochs": 4}, force=True)
        assert _look(out).finished == (removals == 0)
        _open(out, {**SETTINGS, "epochs": 4}, force=True)
        assert [path.name for path in out.iterdir()] == ["recipe.yaml"]


def test_force_spares_the_logits_that_were_kept_for_a_student(tmp_path):
    out = tmp_path / "run"
    _open(out, command="distill")
    (out / "logits").mkdir()
    (out / "logits/logits.json").write_text("{}")
    (out / "manifest.json").write_text("{}")
    _open(out, {**SETTINGS, "lr": 0.1}, command="distill", force=True)
    assert set(_contents(out)) == {"recipe.yaml", "logits/logits.json"}
    _open(out, command="train", force=True)
    assert set(_contents(out)) == {"recipe.yaml"}


def test_a_folder_that_another_command_made_inside_its_own_is_given_a_recipe(tmp_path):
    (tmp_path / "logits.json").write_text("{}")
    stage = adopt_stage(tmp_path, "logits", SETTINGS, result="logits.json", force=False)
    assert set(_contents(tmp_path)) == {"logits.json"}
    stage.begin()
    assert read_settings(tmp_path / "recipe.yaml") == {"logits": SETTINGS}
    assert (tmp_path / "logits.json").exists()
    (tmp_path / "recipe.yaml").unlink()
    adopt_stage(tmp_path, "logits", SETTINGS, result="logits.json", force=True).begin()
    assert set(_contents(tmp_path)) == {"recipe.yaml"}
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"other files \(thesis.txt\)"):
        adopt_stage(tmp_path, "logits", SETTINGS, result="logits.json", force=True)


def test_a_new_folder_is_begun_with_its_recipe(tmp_path):
    stage = _open(tmp_path / "new")
    assert not stage.finished
    assert read_settings(tmp_path / "new/recipe.yaml") == {"train": SETTINGS}


def test_the_same_settings_go_on_until_the_result_is_there(tmp_path):
    _open(tmp_path / "run")
    assert not _open(tmp_path / "run").finished
    (tmp_path / "run/manifest.json").write_text("{}")
    assert _open(tmp_path / "run").finished


def _begun(out):
    """A run that has made something: it is not begun anew."""
    _open(out)
    (out / "training-state.pt").write_bytes(b"state")
    return out


def test_other_settings_are_refused_with_the_difference(tmp_path):
    _begun(tmp_path / "run")
    with pytest.raises(ArtifactError, match="epochs: 3 there, 4 asked"):
        _open(tmp_path / "run", {**SETTINGS, "epochs": 4})


def test_another_command_is_refused(tmp_path):
    _begun(tmp_path / "run")
    with pytest.raises(ArtifactError, match="another command than distill"):
        _open(tmp_path / "run", command="distill")


def test_force_begins_anew_and_drops_what_was_there(tmp_path):
    _open(tmp_path / "run")
    (tmp_path / "run/manifest.json").write_text("{}")
    stage = _open(tmp_path / "run", {**SETTINGS, "epochs": 4}, force=True)
    assert not stage.finished
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.yaml"]


def test_force_leaves_a_folder_with_other_files_as_it_is(tmp_path):
    _open(tmp_path / "run")
    (tmp_path / "run/thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"found other files \(thesis.txt\)"):
        _open(tmp_path / "run", force=True)
    assert (tmp_path / "run/recipe.yaml").is_file()
    assert (tmp_path / "run/thesis.txt").read_text() == "years of work"


def test_a_run_that_was_refused_before_it_made_anything_is_begun_with_other_settings(tmp_path):
    _open(tmp_path / "run")
    _open(tmp_path / "run", {**SETTINGS, "model": "resnet8"})
    assert read_settings(tmp_path / "run/recipe.yaml")["train"]["model"] == "resnet8"


@pytest.mark.parametrize("name", ["recipe.yaml", "model.onnx", ".writing-novel.txt"])
def test_a_users_own_folder_is_never_cleared(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("train: {model: lenet5}")
    with pytest.raises(ArtifactError, match="found other files"):
        _open(tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / name).read_text() == "train: {model: lenet5}"


def test_a_file_in_the_place_of_the_folder_is_not_removed(tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(ArtifactError):
        _open(tmp_path / "model.onnx", force=True)
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_what_a_killed_run_half_wrote_is_removed(tmp_path):
    out = _begun(tmp_path / "run")
    (out / "seed-1").mkdir()
    (out / "seed-1/.writing-abc.pt").write_bytes(b"half")
    _open(out)
    assert not (out / "seed-1/.writing-abc.pt").exists()


def test_a_damaged_recipe_is_named(tmp_path):
    out = _begun(tmp_path / "run")
    (out / "recipe.yaml").write_text((out / "recipe.yaml").read_text() + "train: [")
    with pytest.raises(ArtifactError, match=r"recipe.yaml: cannot be read .*--force"):
        _open(tmp_path / "run")


def test_settings_are_plain_values_without_where_they_go():
    settings = settings_of(Run(data="demo"), Training(epochs=2))
    assert "out" not in settings
    assert "force" not in settings
    assert settings["data"] == "demo"
    assert settings["epochs"] == 2
