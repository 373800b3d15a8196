"""`compress run --search` through the command line, on small real input."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import search_case
from compress.cli import main
from compress.progress import SILENT
from compress.recipes import load_recipe
from compress.search_chain import run_search
from compress.settings import Bench, Run
from compress.stage import RESOLVED
from compress_bench.recipe import bench


def _run(folder: Path, progress=SILENT):
    """The same command without its terminal."""
    return run_search(
        load_recipe(folder / "recipe.yaml"),
        source="recipe.yaml",
        out=folder / "run",
        force=False,
        progress=progress,
    )


def _record(folder: Path) -> dict:
    path = folder / "run/search/record.json"
    return json.loads(path.read_text())["standings"] if path.is_file() else {}


def _states(folder: Path) -> dict[str, int]:
    found = (folder / "run/search").glob("*/student/*")
    return {str(p): p.stat().st_mtime_ns for p in found if p.suffix in (".pt", ".safetensors")}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A search that was stopped at each of its phases, and then went to its end."""
    folder = tmp_path_factory.mktemp("search")
    search_case.write_recipe(folder)
    epochs = []
    for words in ("2 of 5", "going on after epoch", "converting"):
        with pytest.raises(KeyboardInterrupt):
            _run(folder, search_case.StopAt(words))
        epochs.append(sum(len(one["accuracies"]) for one in _record(folder).values()))
    before = _states(folder)
    tokens = ["run", str(folder / "recipe.yaml"), "--search", "-o", str(folder / "run"), "-q"]
    assert main(tokens) == 0
    return folder, epochs, before


def test_a_search_leaves_the_winners_files_its_recipe_and_the_report(done):
    folder, _, _ = done
    for name in (
        *("teacher/manifest.json", "bundle/bundle.json", "bundle/student.int8.onnx"),
        *("search.json", "report.json", "report.html", "winner.yaml"),
    ):
        assert (folder / "run" / name).is_file(), name
    assert not list((folder / "run").rglob(".writing-*"))


def test_the_report_holds_the_search_and_measures_the_winner_on_test(done):
    report = json.loads((done[0] / "run/report.json").read_text())
    search = report["search"]
    assert report["data"]["n"] == 60 and search["images"] == 48
    assert search["verdict"] == report["verdict"]["status"] == "pass"
    won = [c for c in search["candidates"] if c["won"]]
    assert [c["name"] for c in won] == [search["winner"]]
    assert won[0]["on_front"] and won[0]["met"] == "pass"
    assert won[0]["deployed"]["size_bytes"] == report["variants"]["student_int8"]["size_bytes"]
    assert search == json.loads((done[0] / "run/search.json").read_text())


def test_a_search_that_is_stopped_at_any_phase_trains_no_epoch_twice(done):
    _, epochs, before = done
    assert epochs == [0, 2, 4]  # nothing; one epoch of each; and the better one to the end
    after = _states(done[0])
    assert {path: time for path, time in before.items() if path in after}.items() <= after.items()
    assert sum(len(one["accuracies"]) for one in _record(done[0]).values()) == 4


def test_the_winners_recipe_is_the_users_with_another_student(done):
    folder = done[0]
    recipe = yaml.safe_load((folder / "run/winner.yaml").read_text())
    search = json.loads((folder / "run/search.json").read_text())
    won = next(c for c in search["candidates"] if c["won"])
    assert recipe["distill"]["student"] == won["student"]
    assert recipe["distill"]["with_baseline"] is True
    assert "search" not in recipe and recipe["train"] == search_case.RECIPE["train"]
    assert load_recipe(folder / "run/winner.yaml")["goals"] == search_case.RECIPE["goals"]


def test_the_teacher_is_asked_once_for_all_candidates(done):
    kept = list((done[0] / "run").rglob("logits.json"))
    assert [path.parent.name for path in kept] == ["logits-16x16"]


def test_candidates_that_were_trained_otherwise_are_refused_before_anything_is_written(
    done, tmp_path, capsys
):
    distill = {**search_case.RECIPE["distill"], "lr": 0.3}
    other = search_case.write_recipe(tmp_path, distill=distill)
    content = yaml.safe_load(other.read_text())
    content["run"]["data"] = str(done[0] / "tiny.npz")
    other.write_text(yaml.safe_dump(content))
    before = (done[0] / "run/recipe.yaml").read_text()
    assert main(["run", str(other), "--search", "-o", str(done[0] / "run")]) == 1
    said = capsys.readouterr().err
    assert "student: was trained with other settings (lr: 0.05 there, 0.3 asked)" in said
    assert (done[0] / "run/recipe.yaml").read_text() == before


def test_goals_that_nobody_can_meet_end_in_three_before_any_training(done, tmp_path, capsys):
    goals = tmp_path / "goals.toml"
    goals.write_text('[student_int8]\n"size" = { max = "1 kB" }\n')
    out = tmp_path / "run"
    (out / "search").mkdir(parents=True)
    (out / "winner.yaml").write_text("of an earlier search, for other goals")
    kept = Path("search/screening.json")  # as measured for other limits
    shutil.copyfile(done[0] / "run" / kept, out / kept)
    tokens = ["run", str(done[0] / "recipe.yaml"), "--search", "--goals", str(goals)]
    assert main([*tokens, "-o", str(out)]) == 3
    said = capsys.readouterr().err
    assert "student_int8 size at most 1 kB: ds_cnn-w25 comes nearest with" in said
    assert "times the limit" in said
    found = json.loads((out / "search.json").read_text())
    assert found["verdict"] == "fail" and found["winner"] is None
    assert found["distances"][0]["best"] == "ds_cnn-w25"
    assert not (out / "teacher").exists() and not (out / "winner.yaml").exists()


def test_flags_of_a_search_are_refused_without_one(tmp_path, capsys):
    assert main(["run", "--search-students", "2", "-o", str(tmp_path / "run")]) == 2
    assert "--search-students: expected --search as well" in capsys.readouterr().err


def test_goals_of_a_file_take_the_place_of_the_recipes_without_a_search_too(tmp_path, capsys):
    goals = tmp_path / "goals.toml"
    goals.write_text('[student_int9]\n"size" = { max = "1 kB" }\n')
    recipe = search_case.write_recipe(tmp_path)
    tokens = ["run", str(recipe), "--goals", str(goals), "-o", str(tmp_path / "run")]
    assert main(tokens) == 2
    assert "no variant student_int9" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("section", "keys"),
    [("export", {"teacher": "none"}), ("distill", {"teacher": ["a", "b"]})],
)
def test_goals_against_a_teacher_that_leaves_no_file_are_refused(tmp_path, capsys, section, keys):
    goals = {"student_int8": {"accuracy": {"max_drop": "1 pt"}, "size": {"max": "1 MB"}}}
    sections = {section: {**search_case.RECIPE[section], **keys}, "goals": goals}
    recipe = search_case.write_recipe(tmp_path, **sections)
    assert main(["run", str(recipe), "--search", "-o", str(tmp_path / "run")]) == 2
    assert "since goals compare with it (student_int8 accuracy)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_search_without_goals_is_refused(tmp_path, capsys):
    recipe = search_case.write_recipe(tmp_path, goals={})
    assert main(["run", str(recipe), "--search", "-o", str(tmp_path / "run")]) == 2
    assert "--search: expected goals to search for" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_epochs_that_do_not_carry_one_candidate_are_refused(tmp_path, capsys):
    recipe = search_case.write_recipe(tmp_path)
    tokens = ["run", str(recipe), "--search", "--search-epochs", "2", "-o", str(tmp_path / "run")]
    assert main(tokens) == 2
    assert "--search-epochs 2: expected 3 or more" in capsys.readouterr().err


def test_a_folder_of_a_run_without_a_search_is_not_taken_over(tmp_path, capsys):
    recipe = search_case.write_recipe(tmp_path)
    bundle = tmp_path / "run/bundle"
    bundle.mkdir(parents=True)
    tokens = ["run", str(recipe), "--search", "-o", str(tmp_path / "run")]
    (bundle / "recipe.yaml").write_text(f"{RESOLVED}export: {{subject: elsewhere/student}}\n")
    assert main(tokens) == 1
    assert "found those of elsewhere/student" in capsys.readouterr().err
    (bundle / "recipe.yaml").write_text("the user's own")
    assert main([*tokens, "--force"]) == 1
    assert "expected nothing or files of compress export" in capsys.readouterr().err


def test_force_removes_nothing_that_no_search_left(tmp_path, capsys):
    recipe = search_case.write_recipe(tmp_path)
    (tmp_path / "run/search").mkdir(parents=True)
    (tmp_path / "run/search/notes.txt").write_text("mine")
    tokens = ["run", str(recipe), "--search", "--force", "-o", str(tmp_path / "run")]
    assert main(tokens) == 1
    assert "expected what a search left, found other files" in capsys.readouterr().err
    assert (tmp_path / "run/search/notes.txt").is_file()


def test_bench_answers_the_validation_images_where_a_search_asks_it_to(done):
    report = bench(
        [done[0] / "run/bundle/student.int8.onnx"],
        settings=Bench(profile="quick", processes=1, instructions="off", layers=False),
        run=Run(data=str(done[0] / "tiny.npz")),
        split="validation",
    )
    assert (report["data"]["n"], report["data"]["split"]) == (48, "validation")


def test_goals_that_only_training_shows_to_be_missed_end_in_three_and_tell_the_distance(
    done, monkeypatch, capsys
):
    """Last in this file: it goes on in the folder of the others, where all is measured already.

    That folder is known again by another path.
    """
    folder = done[0]
    monkeypatch.chdir(folder)
    goals = folder / "far.toml"
    goals.write_text('[student_int8]\n"accuracy" = { min = "100 %" }\n')
    tokens = ["run", str(folder / "recipe.yaml"), "--search", "--goals", str(goals)]
    assert main([*tokens, "-o", "run", "-q"]) == 3
    said = capsys.readouterr().err
    assert "no candidate meets the goals on validation: student_int8 accuracy at least" in said
    search = json.loads((folder / "run/report.json").read_text())["search"]
    assert search["winner"] is None and search["verdict"] == "fail"
    assert (folder / "run/nearest.yaml").is_file() and not (folder / "run/winner.yaml").exists()
    # The dropped one was trained to the end as well, since the budget allowed it.
    assert [c["state"] for c in search["candidates"]] == ["finalist", "finalist"]
    assert search["epochs"] == 6
