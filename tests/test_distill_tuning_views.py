"""What a search shows: JSON, terminal and a page that works offline, each with every trial."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from compress.distill.tuning.files import write_tuning
from compress.distill.tuning.outcome import read_outcome
from compress.distill.tuning.page import render_html
from compress.distill.tuning.table import trials_table
from compress.distill.tuning.terminal import render_terminal
from compress.distill.tuning.verdict import conclude
from compress.errors import ArtifactError
from compress.progress import SILENT
from test_report_page import Outline
from tuning_case import HARD, KD, make_plan, run

EVIL = '<script>alert("1")</script>&"\''


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Two teachers, two methods, and some trials that failed."""
    plan = make_plan(
        ("temperature", "kd_weight", "ce_weight", "method"),
        (KD, replace(HARD, kd_weight=5.0)),
        ("small", EVIL),
        budget=90,
    )
    record = run(tmp_path_factory.mktemp("views") / "tuning", plan)
    assert {trial.state for trial in record.trials} == {"complete", "pruned", "failed"}
    return conclude(record, {"small": 0.95, EVIL: 0.9})


@pytest.fixture(scope="module")
def written(outcome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    assert [path.name for path in write_tuning(outcome, folder, SILENT)] == [
        "tuning.json",
        "tuning.html",
    ]
    return folder


def shown(outcome, **console):
    file = io.StringIO()
    render_terminal(outcome, Console(file=file, highlight=False, **console))
    return file.getvalue()


def test_the_json_holds_every_trial_and_is_read_back_as_it_was(outcome, written):
    content = json.loads((written / "tuning.json").read_text())
    assert content["kind"] == "tuning"
    assert [trial["number"] for trial in content["trials"]] == [t.number for t in outcome.trials]
    assert content["epochs"] == {"budget": 90, "used": outcome.epochs()}
    assert "optuna" in content["versions"]
    assert read_outcome(written) == outcome


def test_a_damaged_outcome_is_refused(written, tmp_path):
    content = json.loads((written / "tuning.json").read_text())
    del content["winner"]
    (tmp_path / "tuning.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="not the outcome of a search"):
        read_outcome(tmp_path)


def test_a_pipe_gets_one_line_a_trial(outcome):
    lines = shown(outcome).splitlines()
    assert lines[0].split() == [*trials_table(outcome).columns]
    assert [int(line.split()[0]) for line in lines[1 : len(outcome.trials) + 1]] == [
        trial.number for trial in outcome.trials
    ]
    assert tuple(lines[len(outcome.trials) + 1 :]) == outcome.sentences
    assert sum(line.endswith("won") for line in lines) == 1


def test_a_terminal_of_eighty_columns_holds_the_table(outcome):
    text = shown(outcome, force_terminal=True, width=80, color_system=None)
    rows = re.findall(r"^(\d+) .* (complete|stopped|failed|won)\s*$", text, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == [trial.number for trial in outcome.trials]
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_the_page_shows_every_trial_and_every_sentence(outcome, written):
    page = (written / "tuning.html").read_text()
    outline = Outline(page)
    assert outline.wrong == outline.open == []
    words = " ".join(" ".join(outline.texts).split()).replace("\N{MINUS SIGN}", "-")
    for sentence in outcome.sentences:
        assert " ".join(sentence.split()) in words
    body = page[page.index('id="trials"') : page.index('id="searched"')]
    numbers = [int(n) for n in re.findall(r'<th scope="row"><span class="name">(\d+)<', body)]
    assert numbers == [trial.number for trial in outcome.trials]
    assert page.count("<figure>") == 6  # learning, teacher, method, and three numbers


def test_the_page_loads_nothing_and_takes_no_word_for_markup(written):
    page = (written / "tuning.html").read_text()
    outline = Outline(page)
    tags = {tag for tag, _ in outline.tags}
    assert not {"script", "link", "iframe", "object", "base"} & tags
    assert "<script" not in page
    assert "http:" not in page and "https:" not in page
    for tag, attributes in outline.tags:
        for key in ("src", "href"):
            if key in attributes:
                assert attributes[key].startswith(("data:", "#")), tag
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert any(EVIL in text for text in outline.texts)


def test_pictures_have_words_for_those_who_cannot_see_them(written):
    outline = Outline((written / "tuning.html").read_text())
    drawings = [attrs for attrs in outline.all("div") if attrs.get("class") == "drawing"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)


def test_a_search_of_one_epoch_and_one_trial_has_a_page_too(tmp_path):
    plan = make_plan(("temperature",), epochs=1, budget=1)
    single = conclude(run(tmp_path, plan), {})
    content = single.to_dict() | {"created_utc": "2026-01-01T00:00:00+00:00"}
    page = render_html(single, content)
    assert "A single trial is no search" in page
    assert Outline(page).wrong == []


def test_without_the_report_extra_there_is_json_and_a_sentence(
    outcome, tmp_path, monkeypatch, capsys
):
    from compress.progress import Progress

    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    assert write_tuning(outcome, tmp_path, Progress()) == (tmp_path / "tuning.json",)
    assert "tuning.html is not written: jinja2 is not installed" in capsys.readouterr().err
