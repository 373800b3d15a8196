"""A search in the report: what is read, said and drawn of it."""

import base64
import copy
import html
import io
import json
import re
import sys

import pytest
from rich.console import Console

from compress.errors import ArtifactError, MissingExtraError
from compress_bench.report import (
    load_report,
    render_html,
    render_markdown,
    render_search_terminal,
    render_terminal,
    write_search,
)
from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.labels import Placed, overlap, place_where_free
from compress_bench.report.search import reading, words
from compress_bench.report.search.figures import draw_all
from compress_bench.report.search.limits import far_words, goal_lines, within_reach
from compress_bench.report.search.rows import goals_cell, groups, terminal_table
from compress_bench.report.search_page import render_search_html
from report_sample import build_report
from search_sample import RECIPE, search
from test_report_page import EVIL, Outline
from test_report_terminal import plain

TEACHER_ACCURACY = 0.922
TEACHER_SECONDS = 2.1e-3


@pytest.fixture(scope="module")
def found():
    """Forty candidates, eight of them trained, and a winner."""
    return search()


@pytest.fixture(scope="module")
def whole_page(found):
    """A report with the search in it."""
    return render_html({**build_report(), "search": found})


def drawings(content):
    with drawing_style():
        return {name: (d, to_svg(d.figure, name)) for name, d in draw_all(content).items()}


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def changed(content, **fields):
    return {**copy.deepcopy(content), **fields}


def untimed(content):
    """The search on an emulated core: no times anywhere."""
    found = copy.deepcopy(content)
    found["teacher"]["latency"] = None
    for one in found["candidates"]:
        for files in (one["screening"]["int8"], one["screening"]["float32"], one["deployed"] or {}):
            files["latency"] = None
    return found


def without_winner(content):
    """The same search, where the most accurate one comes nearest."""
    found = copy.deepcopy(content)
    for one in found["candidates"]:
        one["won"] = False
        if one["met"] is not None:
            one["met"] = "fail"
    sentence = "student_int8 accuracy at most 1 pt: mobilenet-w100 comes nearest with 1.3 pt"
    found |= {"winner": None, "nearest": "mobilenet-w100", "verdict": "fail"}
    return found | {"distances": [{"sentence": sentence}], "sentences": []}


# --------------------------------------------------------------------------------------- reading


def test_the_winner_is_first_then_who_came_furthest_then_the_smallest(found):
    every = reading.candidates(found)
    assert every[0].won
    ranks = [reading.STATES.index(tried.state) for tried in every[1:]]
    assert ranks == sorted(ranks)
    last = [tried.size_bytes for tried in every if tried.state == "screened out"]
    assert last == sorted(last)


def test_the_deployed_files_size_goes_before_the_untrained_ones(found):
    won = reading.winner(found)
    (entry,) = (one for one in found["candidates"] if one["won"])
    assert won.size_bytes == entry["deployed"]["size_bytes"]
    assert won.size_bytes != entry["screening"]["int8"]["size_bytes"]


def test_goals_on_student_alone_are_about_the_float32_file(found):
    tried = reading.candidates(changed(found, deployed_precision="float32"))[-1]
    (entry,) = (one for one in found["candidates"] if one["name"] == tried.name)
    assert tried.size_bytes == entry["screening"]["float32"]["size_bytes"]


def test_a_speed_up_that_was_measured_in_pairs_is_the_one_shown():
    content = search(3, 0)
    for candidate in content["candidates"]:
        candidate["screening"]["int8"]["latency"]["value"] = TEACHER_SECONDS / 4
    assert speeds(content) == ["4.00\N{MULTIPLICATION SIGN}"] * 3
    for candidate in content["candidates"]:
        candidate["screening"]["int8"]["speedup"] = {"value": 4.2, "low": 4.0, "high": 4.4}
    assert speeds(content) == ["4.20\N{MULTIPLICATION SIGN}"] * 3


def speeds(content):
    teacher = reading.teacher(content)
    return [words.speed_words(tried, teacher) for tried in reading.candidates(content)]


def test_what_is_missing_is_none_and_no_error():
    content = {"candidates": [{"name": "a"}, "no fields", None], "teacher": None, "goals": None}
    (tried,) = reading.candidates(content)
    assert (tried.size_bytes, tried.latency, tried.shown_accuracy) == (None, None, None)
    assert reading.status(content) == "not trained"
    assert drawings(content) == {}
    assert "None of 0 candidates" in words.outcome({})


def test_one_that_could_not_be_exported_is_not_promising(found):
    content = copy.deepcopy(search(5, 0))
    content["candidates"][0].update(state="failed", screened="unmeasured", screening=None)
    names = [tried.name for tried in reading.promising(content)]
    assert content["candidates"][0]["name"] not in names


# ----------------------------------------------------------------------------------- goals as lines


def test_goals_lie_where_their_numbers_say(found):
    (size,) = goal_lines(found, "size")
    assert (size.value, size.text) == (50_000, "at most 50 kB")
    (speed,) = goal_lines(found, "latency")
    assert speed.value == pytest.approx(TEACHER_SECONDS / 5)
    assert speed.text == "5\N{MULTIPLICATION SIGN} the teacher's speed"
    (drop,) = goal_lines(found, "accuracy")
    assert drop.value == pytest.approx(TEACHER_ACCURACY - 0.025)
    assert drop.text == "teacher \N{MINUS SIGN} 2.5 pt: 89.7 %"


def test_a_goal_on_another_file_or_without_its_teacher_has_no_line(found):
    goals = [{**goal, "variant": "student"} for goal in found["goals"]]
    assert goal_lines(changed(found, goals=[*goals, found["goals"][0]]), "accuracy") == ()
    assert goal_lines(changed(found, teacher=None), "accuracy") == ()
    assert goal_lines(untimed(found), "latency") == ()
    own = [{**found["goals"][2], "vs": "student"}]
    assert goal_lines(changed(found, goals=own), "latency") == ()


def test_a_goal_ten_times_beyond_the_points_is_said_and_not_drawn(found):
    lines = goal_lines(found, "size")
    assert within_reach(lines, [5_001, 6_000]) == (list(lines), [])
    near, far = within_reach(lines, [4_000, 4_999])
    assert (near, far) == ([], list(lines))
    assert far_words(far, [4_000]) == "The goal, at most 50 kB, lies far to the right."
    assert far_words(far, [600_000]) == "The goal, at most 50 kB, lies far to the left."


# --------------------------------------------------------------------------------------- figures


def test_a_whole_search_has_three_figures_and_names_the_winner_in_each(found):
    drawn = drawings(found)
    assert list(drawn) == ["search-latency", "search-size", "search-screening"]
    for drawing, svg in drawn.values():
        assert reading.winner(found).name in texts(svg)
        assert drawing.title and drawing.caption and drawing.label.endswith(".")
        assert "#0102" not in svg


def test_stopped_ones_are_named_with_their_epochs_and_finished_ones_without(found):
    named = texts(drawings(found)["search-size"][1])
    assert "resnet8-w100 10/30" in named
    assert "ds_cnn-w150" in named
    assert {"stopped, float32", "candidate, as deployed", "front", "goal"} <= set(named)


def test_goals_and_the_teacher_are_written_at_their_lines(found):
    named = texts(drawings(found)["search-latency"][1])
    assert "teacher 92.2 %" in named
    assert "teacher \N{MINUS SIGN} 2.5 pt: 89.7 %" in named


def test_far_below_is_counted_and_not_drawn(found):
    content = copy.deepcopy(found)
    (entry,) = (one for one in content["candidates"] if one["name"] == "resnet8-w100")
    entry["trained"]["validation"] = {"value": 0.1, "low": 0.08, "high": 0.12}
    before, after = (drawings(one)["search-size"] for one in (found, content))
    assert "1 stopped far below is not drawn." in before[0].caption
    assert "2 stopped far below are not drawn." in after[0].caption
    assert "resnet8-w100 10/30" not in texts(after[1])


def test_before_training_there_is_the_figure_of_what_is_known():
    assert list(drawings(search(40, 0))) == ["search-screening"]


def test_without_times_there_is_no_figure_of_them(found):
    assert list(drawings(untimed(found))) == ["search-size"]
    assert drawings(untimed(search(40, 0))) == {}


def test_a_search_of_one_is_drawn():
    assert list(drawings(search(1, 1))) == ["search-latency", "search-size"]


def test_names_take_only_places_where_they_cover_nothing():
    points = [(50.0, 50.0)] * 9
    places = place_where_free(points, [(60.0, 12.0)] * 9, [], (0.0, 20.0, 130.0, 80.0), 3)
    boxes = [
        (
            p.x if p.align == "left" else p.x - 60,
            p.y - 6,
            (p.x if p.align == "left" else p.x - 60) + 60,
            p.y + 6,
        )
        for p in places
        if isinstance(p, Placed)
    ]
    assert None in places
    assert 2 <= len(boxes) < 9
    assert all(overlap(a, b) == 0 for i, a in enumerate(boxes) for b in boxes[i + 1 :])


# --------------------------------------------------------------------------------- words and rows


def test_the_outcome_is_said_where_the_search_says_nothing(found):
    silent = changed(found, sentences=[])
    assert words.said(silent) == (
        "lenet5-w75 is the smallest student found that meets every goal on the validation images.",
    )
    said = words.said(without_winner(found))
    assert said[0] == "No candidate meets every goal on the validation images."
    assert said[1].startswith("student_int8 accuracy at most 1 pt: mobilenet-w100 comes nearest")
    assert words.outcome(search(40, 0)) == (
        "19 of 40 candidates may meet the goals; none was trained."
    )


def test_sentences_get_a_capital_and_a_full_stop_but_names_stay(found):
    said = words.said(changed(found, sentences=["lenet5-w75 is small", "no more is known"]))
    assert said == ("lenet5-w75 is small.", "No more is known.")


def test_tiles_are_the_winners_numbers_then_the_effort(found):
    shown = [(tile.number, tile.what) for tile in words.tiles(found)]
    assert shown[0] == ("43.7 kB", "lenet5-w75")
    assert shown[-1] == ("40", "candidates looked at")
    assert len(shown) == 4
    start = words.tiles(search(40, 0))[0]
    assert start.what == "ds_cnn-w25, the smallest that may meet the goals"


def test_candidates_are_grouped_by_how_far_they_came(found):
    every = groups(found)
    assert [group.title for group in every] == ["8 trained", "11 not trained", "21 screened out"]
    assert [group.folded for group in every] == [False, True, True]
    assert not any(group.folded for group in groups(search(40, 0)))
    assert sum(len(group.table.rows) for group in every) == 40


def test_a_row_says_state_epochs_interval_and_verdict(found):
    trained = groups(found)[0].table
    cells = dict(zip(trained.columns, trained.rows[0].cells, strict=True))
    assert cells["State"].full == "winner (30 of 30 epochs), on the front"
    assert cells["Deployed accuracy"].full == "90.5 % (89.1\N{EN DASH}91.7)"
    assert cells["Speed-up"].text == "28.6\N{MULTIPLICATION SIGN}"
    assert cells["Goals"].text == "pass"
    stopped = dict(zip(trained.columns, trained.rows[-1].cells, strict=True))
    assert stopped["State"].full == "dropped (10 of 30 epochs)"
    assert stopped["Goals"].empty


def test_a_missed_goal_is_named(found):
    out = [tried for tried in reading.candidates(found) if tried.state == "screened out"]
    assert goals_cell(out[0]).full == "fail, misses size"


def test_memory_is_shown_where_a_goal_is_on_it(found):
    goal = {**found["goals"][0], "metric": "memory", "written": "1 MB"}
    assert "Memory" in groups(changed(found, goals=[goal]))[0].table.columns
    assert "Memory" not in groups(found)[0].table.columns


def test_the_terminal_shows_the_trained_and_counts_the_others(found):
    table, more = terminal_table(found)
    assert len(table.rows) == 8
    assert more == "32 other candidates can be seen on the page."
    table, more = terminal_table(search(40, 0))
    assert len(table.rows) == 8
    assert terminal_table(search(1, 1))[1] == ""


def test_where_none_can_meet_the_goals_the_terminal_shows_the_smallest():
    content = copy.deepcopy(search(40, 0))
    for one in content["candidates"]:
        one.update(screened="fail", state="screened out")
    names = [row.name for row in terminal_table(content)[0].rows]
    assert names[:2] == ["ds_cnn-w25", "resnet8-w25"]
    assert len(names) == 8
    assert reading.best(content) is None


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_is_never_too_narrow(found, width):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width)
    render_terminal({**build_report(), "search": found}, console)
    text = plain(file.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "lenet5-w75" in text


def test_a_search_alone_is_printed():
    file = io.StringIO()
    render_search_terminal(search(40, 0), Console(file=file, width=100))
    assert file.getvalue().startswith("19 of 40 candidates may meet the goals.\n\n")


# ---------------------------------------------------------------------------------- the documents


def test_markdown_has_the_trained_in_a_table_and_names_the_others(found):
    text = render_markdown({**build_report(), "search": found})
    assert "**Search** 19 of 40 candidates may meet the goals." in text
    lines = [line for line in text.splitlines() if line.startswith("| lenet5-w75")]
    assert len(lines) == 1
    assert "**21 screened out**: resnet14-w100, resnet8-w150" in text
    assert "Recipe of lenet5-w75:\n\n```yaml\nteacher:\n" in text


def test_a_recipe_with_a_fence_does_not_end_markdowns(found):
    content = copy.deepcopy(found)
    (entry,) = (one for one in content["candidates"] if one["won"])
    entry["recipe"] = "note: |\n  ````\n  x\n"
    assert "`````yaml\nnote: |\n  ````\n  x\n`````" in render_markdown(
        {**build_report(), "search": content}
    )


def test_the_report_holds_the_section_and_stays_well_formed(whole_page):
    outline = Outline(whole_page)
    assert (outline.wrong, outline.open) == ([], [])
    assert not {"script", "link", "iframe"} & {tag for tag, _ in outline.tags}
    assert "https:" not in whole_page
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {attrs["aria-labelledby"] for _, attrs in outline.tags if "aria-labelledby" in attrs}
    assert named <= set(ids)
    assert '<h2 id="search">Search</h2>' in whole_page
    assert whole_page.count('class="drawing"') == 6 + 3


def test_every_candidate_is_on_the_page(whole_page, found):
    flat = whole_page.replace("<wbr>", "")
    for one in found["candidates"]:
        assert f">{one['name']}<" in flat


def test_the_winners_recipe_can_be_copied_and_saved_as_it_is(whole_page):
    wanted = RECIPE.format(student="lenet5", width=0.75)
    (shown,) = re.findall(r'<pre class="recipe"[^>]*>(.*?)</pre>', whole_page, re.DOTALL)
    assert html.unescape(shown) == wanted
    (saved,) = (
        attrs["href"]
        for attrs in Outline(whole_page).all("a")
        if attrs.get("download") == "winner.yaml"
    )
    assert base64.b64decode(saved.partition(",")[2]).decode() == wanted


def test_without_a_winner_the_nearest_has_its_goals_its_recipe_and_the_distance(found):
    page = render_search_html(without_winner(found)).replace("<wbr>", "")
    assert "Recipe of mobilenet-w100, the nearest" in page
    assert 'download="nearest.yaml"' in page
    assert "Goals: mobilenet-w100, the nearest" in page
    assert "comes nearest with 1.3 pt" in page
    assert 'class="verdict fail"' in page


def test_a_page_before_training_has_the_recipe_to_start_from():
    page = render_search_html(search(40, 0))
    assert "compress suggest" in page
    assert "Save recipe.yaml" in page
    assert "<details" not in page


def test_a_report_without_a_search_has_no_such_section():
    page = render_html({**build_report(), "search": None})
    assert 'id="search"' not in page
    assert 'class="recipe"' not in page


def test_markup_in_a_search_is_text(found):
    content = copy.deepcopy(found)
    content["target"] = content["data"] = content["teacher"]["name"] = EVIL
    content["sentences"] = [EVIL]
    for one in content["candidates"]:
        one.update(name=EVIL + one["name"], reason=EVIL, recipe=EVIL, model_args={EVIL: EVIL})
        one["goals"][0].update(sentence=EVIL, metric=EVIL, variant=EVIL)
    page = render_search_html(content)
    assert "<script" not in page
    assert "<img src=x" not in page
    outline = Outline(page)
    assert (outline.wrong, outline.open) == ([], [])


def test_a_search_is_written_as_json_and_page(found, tmp_path):
    paths = write_search(found, tmp_path)
    assert [path.name for path in paths] == ["search.json", "search.html"]
    assert json.loads(paths[0].read_text()) == found


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_the_json_is_written(found, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert [path.name for path in write_search(found, tmp_path)] == ["search.json"]
    with pytest.raises(MissingExtraError, match=package):
        render_search_html(found)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("search", [], "search: expected fields, found a list"),
        ("search", {"candidates": {}}, r"search\.candidates: expected a list, found fields"),
        ("search", {"teacher": "t"}, r"search\.teacher: expected fields, found text"),
        ("repair", "none", "repair: expected fields, found text"),
        ("repair", {"steps": 3}, r"repair\.steps: expected a list, found a number"),
    ],
)
def test_a_damaged_search_or_repair_is_refused(tmp_path, field, value, said):
    (tmp_path / "report.json").write_text(json.dumps({**build_report(), field: value}))
    with pytest.raises(ArtifactError, match=said):
        load_report(tmp_path)


def test_a_report_with_a_search_reads_back(tmp_path, found):
    report = {**build_report(), "search": found}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert load_report(tmp_path) == report


def test_how_long_it_took_is_said_in_peoples_units(found):
    how = dict(words.how(found))
    assert how["Training of students"] == "7 min"
    assert how["Compared after epochs"] == "4, 10, 30"
    assert how["Teacher"].startswith("resnet14-w200-s2, 2.80 MB, 2.10 ms")


def test_without_the_teachers_time_there_is_no_speed_up(found):
    assert words.speed_words(reading.winner(found), None) == ""
    assert "Speed-up" not in groups(untimed(found))[0].table.columns
