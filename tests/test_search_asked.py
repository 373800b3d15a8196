"""What a search makes of a recipe: for each candidate, for its verdicts, and for the user."""

import json

import pytest

import search_case
from compress.progress import SILENT
from compress.recipes import load_recipe, override
from compress.search.finalists import Ending
from compress.search.recipe import Asked
from compress.search.record import Record
from compress.search.written import left_out
from compress.settings import Searching
from compress.stage import dump


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(search_case.write_recipe(tmp_path))


def test_flags_of_a_run_go_into_the_sections_that_have_them(recipe, tmp_path):
    found = override({**recipe, "pack": {"fps": 5}}, {"data": "demo", "seed": 7, "device": "cpu"})
    assert found["search"] == recipe["search"] and found["goals"] == recipe["goals"]
    assert found["pack"] == {"fps": 5, "seed": 7}
    assert found["distill"]["data"] == found["run"]["data"] == "demo"
    again = tmp_path / "again.yaml"
    again.write_text(dump(found))
    assert load_recipe(again) == found


def test_flags_of_a_run_make_the_shared_section_where_there_is_none():
    assert override({"bench": {}}, {"seed": 7}) == {"run": {"seed": 7}, "bench": {"seed": 7}}


def _key(folder, recipe):
    record = Record(folder=folder)
    record.bundle("a").mkdir(parents=True, exist_ok=True)
    bundle = {"schema": 1, "kind": "bundle", "variants": {"student": {"sha256": "1"}}}
    (record.bundle("a") / "bundle.json").write_text(json.dumps(bundle))
    goals = [search_case.accuracy_goal(0.5)]
    ending = Ending(recipe=recipe, source="r", goals=goals, record=record, progress=SILENT)
    return ending.key(["a"])


def test_verdicts_are_taken_again_as_they_were_kept(recipe, tmp_path):
    found = _key(tmp_path, recipe)
    assert json.loads(json.dumps(found)) == found == _key(tmp_path, recipe)


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("bench", {"target": "ssh://pi"}),
        ("bench", {"profile": "strict"}),
        ("bench", {"threads": 4}),
        ("run", {"split_seed": 5}),
    ],
)
def test_verdicts_of_another_measurement_are_not_taken_again(recipe, tmp_path, section, keys):
    other = {**recipe, section: {**recipe[section], **keys}}
    assert _key(tmp_path, other) != _key(tmp_path, recipe)


def test_candidates_that_see_other_views_have_logits_of_their_own(recipe, tmp_path):
    asked = Asked(
        recipe=recipe,
        source="r",
        searching=Searching(),
        goals=(),
        teacher=tmp_path / "teacher",
        record=Record(folder=tmp_path),
    )
    one = search_case.candidate("lenet5", 10)
    folders = [asked.wish({**one, "views": [side, side]}).teaching.logits for side in (16, 16, 224)]
    names = [folder.name for folder in folders if folder is not None]
    assert names == ["logits-16x16", "logits-16x16", "logits-224x224"]


def test_what_a_search_leaves_out_of_a_recipe_is_said(recipe):
    assert left_out({}) == ()
    distill = {"tune": ["lr"], "freeze": False, "pretrained": True, "runs": 3, "epochs": 9}
    said = left_out({**recipe, "distill": {**distill, "with_baseline": True}})
    assert said[0].endswith("without distill's pretrained, tune")
    assert said[1].startswith("search: distill's runs, with_baseline: left to")
