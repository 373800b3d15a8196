"""`compress distill` as a stage: what decides a result is compared; logits are shared."""

import numpy as np
import pytest

import tiny
from compress.artifacts import MANIFEST, read_json, sha256_file
from compress.cli import main
from compress.stage import RECIPE, read_settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A teacher on the tiny images."""
    folder = tmp_path_factory.mktemp("stage")
    tiny.write_npz(folder / "tiny.npz")
    teach = ["train", "--model", "lenet5", "--epochs", "4", "--batch-size", "32", *_base(folder)]
    assert main([*teach, "-o", str(folder / "teacher")]) == 0
    return folder


def _base(folder) -> list[str]:
    return ["--data", str(folder / "tiny.npz"), "--threads", "1", "-q"]


def _distill(folder, out: str, *flags: str, teacher: str = "teacher") -> int:
    command = ["distill", "--teacher", str(folder / teacher), "--student", "lenet5", *_base(folder)]
    command += ["--epochs", "4", "--views", "2", "--batch-size", "32"]
    return main([*command, "-o", str(folder / out), *flags])


def test_later_trials_share_the_logits_of_the_first(place, capsys):
    assert _distill(place, "first", "--logits", str(place / "shared")) == 0
    before = {p.name: p.stat().st_mtime_ns for p in (place / "shared").glob("view-*.logits")}
    assert len(before) == 2
    flags = ("--logits", str(place / "shared"), "--temperature", "4", "--lr", "0.02")
    assert _distill(place, "second", *flags) == 0
    after = {p.name: p.stat().st_mtime_ns for p in (place / "shared").glob("view-*.logits")}
    assert after == before


def test_a_folder_of_logits_teaches_exactly_as_its_teacher_did(place):
    assert _distill(place, "live", "--logits", str(place / "kept")) == 0
    assert _distill(place, "from-disk", teacher="kept") == 0
    digests = {sha256_file(place / name / "model.safetensors") for name in ("live", "from-disk")}
    assert len(digests) == 1


def test_the_form_of_the_kept_logits_is_part_of_what_was_asked(place, capsys):
    assert _distill(place, "dense", "--logits", str(place / "dense-logits")) == 0
    assert read_settings(place / "dense" / RECIPE)["distill"]["kept_form"]["top_k"] == 0
    (place / "few").mkdir()
    assert _distill(place, "few/s", "--logits", str(place / "few/l"), "--top-k", "1") == 0
    capsys.readouterr()
    code = _distill(place, "dense", "--logits", str(place / "few/l"))
    assert code == 1
    assert "kept_form" in capsys.readouterr().err


def test_the_manifest_names_the_teacher_behind_kept_logits(place):
    assert _distill(place, "a", "--logits", str(place / "behind")) == 0
    assert _distill(place, "b", teacher="behind") == 0
    record = read_json(place / "b" / MANIFEST, kind="checkpoint")["teacher"]
    assert record["folder"] == str((place / "teacher").resolve())


def test_logits_of_views_that_are_too_small_for_the_student_are_refused(place, capsys):
    keep = ["logits", "--teacher", str(place / "teacher"), *_base(place), "--views", "2"]
    assert main([*keep, "--view-size", "8", "-o", str(place / "small")]) == 0
    capsys.readouterr()
    assert _distill(place, "refused", teacher="small") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "expected logits of views of 16 x 16 pixels" in said
    assert "compress logits --view-size 16" in said
    assert _distill(place, "asked", "--view-size", "8", teacher="small") == 0


def test_logits_of_other_views_are_refused_by_name_in_a_dry_run_too(place, capsys):
    assert _distill(place, "c", "--logits", str(place / "others")) == 0
    capsys.readouterr()
    code = _distill(place, "d", "--logits", str(place / "others"), "--augment", "flip", "--dry-run")
    assert code == 1
    assert "views.augment: crop+flip there, flip asked" in capsys.readouterr().err
    assert not (place / "d").exists()


def test_a_dry_run_of_distillation_writes_nothing(place, capsys):
    before = {path.name for path in place.iterdir()}
    assert _distill(place, "nothing", "--dry-run") == 0
    assert {path.name for path in place.iterdir()} == before


def test_the_teacher_is_no_part_of_the_students_checkpoint(place):
    from safetensors.numpy import load_file

    assert _distill(place, "alone") == 0
    student = load_file(place / "alone" / "model.safetensors")
    teacher = load_file(place / "teacher" / "model.safetensors")
    assert set(student) == set(teacher)  # both are lenet5, and there is one of it
    assert any(not np.array_equal(student[name], teacher[name]) for name in student)
