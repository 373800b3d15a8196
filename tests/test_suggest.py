"""`compress suggest` through the command line, on small real input."""

import json
from pathlib import Path

import pytest
import yaml

import tiny
from compress.artifacts import header, write_json
from compress.cli import main
from compress.recipes import load_recipe
from compress.search.kept import forget
from compress_bench.quantities import show

RECIPE = {
    "run": {"seed": 3, "threads": 1},
    "train": {"model": "resnet8", "epochs": 4},
    "distill": {"student": "lenet5", "epochs": 3, "freeze": 1},
    "export": {"input": "uint8"},
    "bench": {"goals": "old.toml"},  # --goals takes its place
    "search": {"students": ["ds_cnn"], "widths": [0.25, 0.5]},
}
# ds_cnn takes some 20 kB at a quarter of the width, 27 kB at half.
SIZE = "24 kB"
GOALS = """
[student_int8]
"size"        = {{ max = "{size}" }}
"latency.p50" = {{ max = "10 s" }}
"accuracy"    = {{ max_drop = "1 pt", vs = "teacher" }}
"""


def _goals(folder: Path, size: str = SIZE) -> str:
    path = folder / f"goals-{size.replace(' ', '')}.toml"
    path.write_text(GOALS.format(size=size))
    return str(path)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """One search, whose folder later tests look at and go on with."""
    folder = tmp_path_factory.mktemp("suggest")
    recipe = {**RECIPE, "run": {**RECIPE["run"], "data": str(tiny.write_npz(folder / "t.npz"))}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["suggest", "--recipe", str(folder / "mine.yaml"), "-o", str(folder / "out"), "-q"]
    assert main([*arguments, "--goals", _goals(folder)]) == 0
    return folder, json.loads((folder / "out/search.json").read_text()), arguments


def test_every_candidate_is_listed_the_smallest_first(found):
    _, content, _ = found
    names = [candidate["name"] for candidate in content["candidates"]]
    assert names == ["ds_cnn-w25", "ds_cnn-w50"]
    assert content["teacher"]["name"] == "resnet8"
    assert content["data"].endswith("t.npz")
    assert content["image"] == [16, 16, 1]


def test_each_was_measured_with_an_interval_beside_the_teacher(found):
    _, content, _ = found
    for entry in [content["teacher"], *(c["screening"]["int8"] for c in content["candidates"])]:
        assert 0 < entry["latency"]["low"] <= entry["latency"]["value"] <= entry["latency"]["high"]
        assert entry["size_bytes"] > 0
    for candidate in content["candidates"]:
        assert candidate["screening"]["int8"]["speedup"]["value"] > 0
        assert candidate["screening"]["int8"]["memory_bytes"]["value"] > 0
        assert candidate["screening"]["float32"]["latency"] is None  # no goal names it


def test_goals_that_need_no_weights_are_judged_and_the_others_named(found):
    _, content, _ = found
    assert [goal["needs_training"] for goal in content["goals"]] == [False, False, True]
    small, large = content["candidates"]
    assert [goal["metric"] for goal in small["goals"]] == ["size", "latency.p50"]
    assert (small["screened"], small["state"]) == ("pass", "not trained")
    assert (large["screened"], large["state"]) == ("fail", "screened out")
    assert large["reason"].startswith("size ")
    assert "only training tells: student_int8 accuracy" in content["sentences"]


def test_the_recipe_to_start_from_is_the_smallest_one_s(found):
    folder, content, _ = found
    recipe = load_recipe(folder / "out/recipe.yaml")
    assert content["start"] == "ds_cnn-w25"
    assert recipe["distill"]["student"] == "ds_cnn"
    assert json.loads(recipe["distill"]["model_args"]) == {"width": 0.25}
    assert recipe["distill"]["epochs"] == 3
    assert "freeze" not in recipe["distill"]  # it spoke of another network's layers
    assert recipe["export"] == {"input": "uint8", "int8": True}  # goals are set on it
    assert recipe["goals"]["student_int8"]["size"] == {"max": SIZE}
    assert "goals" not in recipe["bench"]  # they would go before the section's
    assert "search" not in recipe


def test_the_page_is_written_beside_it(found):
    folder, _, _ = found
    assert "ds_cnn-w25" in (folder / "out/search.html").read_text()
    assert not list((folder / "out/search").glob("*/*.onnx"))  # they have served


def test_other_limits_are_judged_without_measuring_again(found, capsys):
    folder, _, arguments = found
    kept = (folder / "out/search/screening.json").read_bytes()
    assert main([*arguments, "--goals", _goals(folder, "1 kB")]) == 3
    assert (folder / "out/search/screening.json").read_bytes() == kept
    said = capsys.readouterr().err
    content = json.loads((folder / "out/search.json").read_text())
    size = content["candidates"][0]["screening"]["int8"]["size_bytes"]
    assert content["start"] is None
    assert content["distances"][0]["best"] == "ds_cnn-w25"
    assert f"ds_cnn-w25 comes nearest with {show(size, 'size')}" in said


def test_the_terminal_shows_the_table_and_the_recipe(found, capsys):
    folder, _, arguments = found
    spoken = [argument for argument in arguments if argument != "-q"]
    assert main([*spoken, "--goals", _goals(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "candidate",
        *("parameters", "size", "latency", "interval", "speed-up", "verdict", "misses"),
    ]
    assert lines[1].startswith("resnet8 ")
    assert lines[2].startswith("ds_cnn-w25 ")
    assert "may" in lines[2].split()
    assert "  cannot   size " in lines[3]
    assert "  student: ds_cnn" in lines


def test_json_is_the_same_object(found, capsys):
    folder, content, arguments = found
    assert main([*arguments, "--goals", _goals(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["candidates"] == content["candidates"]
    assert printed["kind"] == "search"


def test_without_goals_nothing_is_measured(capsys):
    assert main(["suggest"]) == 2
    assert "--goals: expected a TOML file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"export": {"int8": False}}, "student_int8"),
        ({"bench": {"target": "nosuch"}}, "--target nosuch: expected local"),
        ({"export": {"batch_size": 4}}, "bench.batch_size: expected 4"),
        ({"distill": {"student": "lenet5", "edge_changes": "gate"}}, 'did you mean "gates"'),
    ],
)
def test_what_run_would_refuse_is_refused_before_anything_is_built(tmp_path, capsys, section, said):
    recipe = {**RECIPE, **section}
    recipe["run"] = {**RECIPE["run"], "data": str(tiny.write_npz(tmp_path / "t.npz"))}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    command = ["suggest", "--recipe", str(tmp_path / "mine.yaml"), "--goals", _goals(tmp_path)]
    assert main(command) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_recipe_without_a_student_is_refused(tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("train: {model: resnet8}\n")
    assert main(["suggest", "--recipe", str(recipe), "--goals", _goals(tmp_path)]) == 2
    assert "expected a section distill" in capsys.readouterr().err


def test_a_user_s_recipe_is_not_replaced(tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text("mine")
    arguments = ["suggest", "--goals", _goals(tmp_path), "-o", str(tmp_path)]
    assert main(arguments) == 2
    assert "suggest did not write" in capsys.readouterr().err
    assert (tmp_path / "recipe.yaml").read_text() == "mine"


def _left(folder: Path, verdict: str) -> list[str]:
    """A folder as an earlier command left it, and the command that is to write there again."""
    candidate = {"name": "ds_cnn-w25", "recipe": "as written"}
    content = header("search") | {"verdict": verdict, "start": "ds_cnn-w25"}
    write_json(folder / "search.json", content | {"candidates": [candidate]})
    return ["suggest", "--goals", _goals(folder), "--data", str(folder / "no.npz"), "-o"]


def test_a_recipe_that_was_edited_since_is_not_replaced(tmp_path, capsys):
    command = [*_left(tmp_path, "not trained"), str(tmp_path)]
    (tmp_path / "recipe.yaml").write_text("as written, and edited")
    assert main(command) == 2
    assert "edited since" in " ".join(capsys.readouterr().err.split())
    # what comes next is the images, which are missing: the folder is as wanted
    assert main([*command, "--force"]) != 0
    assert "no.npz" in capsys.readouterr().err
    (tmp_path / "recipe.yaml").write_text("as written")
    assert main(command) != 0
    assert "no.npz" in capsys.readouterr().err


def test_what_a_search_has_trained_is_not_replaced(tmp_path, capsys):
    command = [*_left(tmp_path, "pass"), str(tmp_path), "--force"]
    before = (tmp_path / "search.json").read_bytes()
    assert main(command) == 2
    assert "compress run --search" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "search.json").read_bytes() == before


def test_force_measures_again(tmp_path):
    write_json(tmp_path / "screening.json", header("screening"))
    (tmp_path / "screening-abc").mkdir()
    (tmp_path / "mine").touch()
    forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
