"""`compress distill --tune` as a stage: searched on validation, test is for the winner alone."""

import json
from dataclasses import replace

import pytest

import tiny
from compress.artifacts import MANIFEST, read_json, sha256_file
from compress.cli import main
from compress.data.dataset import ArrayImages, Split
from compress.distill.lesson_teacher import answering_teacher, asked_teacher
from compress.distill.requirements import refuse_impossible
from compress.distill.tuning.candidates import find_candidates
from compress.distill.tuning.courses import candidate_courses
from compress.distill.tuning.recipe import trial_runner
from compress.distill.tuning.record import open_record
from compress.distill.tuning.search import search
from compress.distill.wish import Wish
from compress.progress import SILENT
from compress.settings import (
    Augmenting,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
    Tuning,
)
from compress.stage import RECIPE, read_settings
from compress.training.processes import ALONE


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two teachers on the tiny images."""
    folder = tmp_path_factory.mktemp("tune")
    tiny.write_npz(folder / "tiny.npz")
    for name, seed in (("one", "0"), ("two", "1")):
        teach = ["train", "--model", "lenet5", "--epochs", "3", "--seed", seed, *_base(folder)]
        assert main([*teach, "-o", str(folder / name)]) == 0
    return folder


def _base(folder) -> list[str]:
    return ["--data", str(folder / "tiny.npz"), "--threads", "1", "-q", "--batch-size", "32"]


def _tune(folder, out: str, *flags: str, teachers=("one",), student="lenet5", views="2") -> int:
    named = [flag for name in teachers for flag in ("--teacher", str(folder / name))]
    command = ["distill", *named, "--student", student, *_base(folder), "--epochs", "3"]
    return main([*command, "--views", views, "-o", str(folder / out), *flags])


def said_of(capsys) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_the_winner_is_the_student_that_the_same_settings_train_alone(place):
    assert _tune(place, "tuned", "--tune", "temperature,kd_weight", "--tune-epochs", "9") == 0
    found = json.loads((place / "tuned" / "tuning.json").read_text())
    assert found["epochs"]["used"] <= found["epochs"]["budget"] == 9
    winner = found["trials"][found["winner"] - 1]
    best = max(t["accuracy"] for t in found["trials"] if t["accuracy"] is not None)
    assert winner["accuracy"] == best
    settings = winner["settings"]
    flags = [("--temperature", settings["temperature"]), ("--kd-weight", settings["kd_weight"])]
    alone = [str(part) for flag in flags for part in flag]
    assert _tune(place, "alone", *alone, "--logits", str(place / "tuned" / "logits")) == 0
    digests = {sha256_file(place / n / "model.safetensors") for n in ("tuned", "alone")}
    assert len(digests) == 1
    manifest = read_json(place / "tuned" / MANIFEST, kind="checkpoint")
    assert manifest["tuning"]["trials"] == len(found["trials"])
    assert manifest["recipe"]["distill"]["temperature"] == settings["temperature"]
    assert read_settings(place / "tuned" / RECIPE)["distill"]["tune"] == "temperature,kd_weight"
    assert (place / "tuned" / "tuning.html").is_file()


def test_candidate_teachers_each_teach_alone_and_are_compared(place, capsys):
    flags = ("--tune", "method", "--method", "kd", "--method", "hard", "--tune-epochs", "12")
    assert _tune(place, "which", *flags, "--json", teachers=("one", "two")) == 0
    found = json.loads(capsys.readouterr().out)["tuning"]
    by_teacher = [
        [t["teacher"] for t in found["trials"]].count(str(place / n)) for n in ("one", "two")
    ]
    assert min(by_teacher) >= 1
    assert [t["own_accuracy"] is not None for t in found["teachers"]] == [True, True]
    record = read_json(place / "which" / MANIFEST, kind="checkpoint")["teacher"]
    winner = found["trials"][found["winner"] - 1]["teacher"]
    assert record["folder"] == winner
    assert (place / "which" / "logits" / "teacher-2" / "logits.json").is_file()


def test_the_same_command_again_searches_nothing(place, capsys):
    flags = ("--tune", "temperature", "--tune-epochs", "6")
    assert _tune(place, "again", *flags) == 0
    before = (place / "again" / "tuning.json").read_bytes()
    assert _tune(place, "again", *flags) == 0
    assert (place / "again" / "tuning.json").read_bytes() == before
    assert _tune(place, "again", "--tune", "temperature", "--tune-epochs", "9") == 1
    assert "tune_epochs: 6 there, 9 asked" in said_of(capsys)


def test_the_search_never_looks_at_test(place, tmp_path):
    class Sealed(ArrayImages):
        def batch(self, indices, size):
            raise AssertionError("the search looked at test")

    wish = Wish(
        student="lenet5",
        teachers=Teachers(teacher=(str(place / "one"),)),
        teaching=Teaching(),
        keeping=Keeping(),
        network=Network(),
        training=Training(epochs=3, batch_size=32),
        augmenting=Augmenting(views=2),
        run=Run(data=str(place / "tiny.npz"), out=tmp_path, threads=1),
        tuning=Tuning(tune="temperature", tune_epochs=6),
    )
    found = find_candidates(wish, ALONE, SILENT)
    ((name, lesson),) = found.lessons.items()
    sealed = Split(Sealed(lesson.dataset.test.images.pixels), lesson.dataset.test.labels)
    lesson = replace(lesson, dataset=replace(lesson.dataset, test=sealed))
    found = replace(found, lessons={name: lesson})
    teacher = answering_teacher(lesson, asked_teacher(lesson, SILENT), SILENT)
    record = open_record(tmp_path / "tuning", found.plan)
    search(record, trial_runner(found, {name: teacher}), SILENT)
    assert record.trials[0].state == "complete"
    with pytest.raises(AssertionError, match="looked at test"):
        sealed.images.batch(None, None)


def test_a_search_keeps_logits_without_being_told_to(place):
    flags = ("--tune", "temperature", "--tune-epochs", "6")
    assert _tune(place, "cached", *flags, views="3") == 0
    assert (place / "cached" / "logits" / "logits.json").is_file()


def test_candidates_of_features_and_logits_leave_no_hooks_behind(place):
    flags = ("--tune", "method", "--method", "kd", "--method", "rkd", "--tune-epochs", "6")
    assert _tune(place, "inside", *flags, student="resnet8") == 0
    found = json.loads((place / "inside" / "tuning.json").read_text())
    assert {trial["settings"]["method"] for trial in found["trials"]} == {"kd", "rkd"}


def test_force_removes_nothing_where_a_candidate_cannot_be(place, capsys):
    flags = ("--tune", "method", "--method", "kd", "--method", "hint", "--tune-epochs", "6")
    assert _tune(place, "kept", "--tune", "temperature", "--tune-epochs", "3") == 0
    before = sha256_file(place / "kept" / "model.safetensors")
    layers = ("--set", "method.hint.layers={nope: conv1}", "--force")
    assert _tune(place, "kept", *flags, *layers) == 2
    assert "student layer nope: no such layer" in said_of(capsys)
    assert sha256_file(place / "kept" / "model.safetensors") == before


def test_what_a_block_says_is_part_of_what_was_searched(place, capsys):
    flags = ("--tune", "kd_weight", "--tune-epochs", "3")
    assert _tune(place, "block", *flags, "--set", "method.temperature=3") == 0
    (block,) = read_settings(place / "block" / RECIPE)["distill"]["method"]
    assert block["temperature"] == 3
    assert _tune(place, "block", *flags, "--set", "method.temperature=8") == 1
    assert "method:" in said_of(capsys)
    again = ["distill", "--recipe", str(place / "block" / RECIPE), "-o", str(place / "block")]
    assert main(again) == 0
    assert "finished already" in said_of(capsys)


def test_a_dry_run_says_what_the_search_would_cost(place, capsys):
    flags = ("--tune", "temperature,kd_weight", "--dry-run", "--json")
    assert _tune(place, "dry", *flags) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tuning"]["epochs"] == 18
    assert found["time"]["search_seconds"] > 0
    assert not (place / "dry").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--tune", "temperatur"), 'no such setting; did you mean "temperature"'),
        (("--tune", "temperature", "--method", "hard"), "expected a method that has one"),
        (("--tune", "temperature", "--tune-epochs", "2"), "expected 3 or more"),
        (("--tune", "kd_weight", "--method", "kd", "--method", "hard"), "expected a single method"),
        (("--tune-epochs", "9"), "expected --tune as well"),
        (("--tune", "temperature", "--top-k", "1"), "expected all logits"),
        (("--tune", "method", "--kd-weight", "1"), "expected each candidate's own weight"),
    ],
)
def test_a_search_for_nothing_is_refused_before_any_work(place, capsys, flags, named):
    assert _tune(place, "refused", *flags) == 2
    assert named in said_of(capsys)
    assert not (place / "refused").exists()


def test_methods_that_need_labels_are_no_candidates_where_there_are_none():
    teaching = Teaching(transfer="frames")
    found = candidate_courses(
        teaching, ("method",), 10, lambda course: refuse_impossible(course, teaching, Augmenting())
    )
    names = [course.chosen[0].method.name for course in found]
    assert names[0] == "kd"
    assert "dkd" not in names
    assert "attention" not in names


def test_shares_are_for_teachers_that_teach_together(place, capsys):
    flags = ("--tune", "temperature", "--teacher-shares", "1", "2")
    assert _tune(place, "refused", *flags, teachers=("one", "two")) == 2
    assert "several teachers are candidates" in said_of(capsys)
