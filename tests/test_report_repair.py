"""The ladder of a repair in the report: what is said, shown and drawn of it."""

import json
import re

import pytest

import bench_models
from compress_bench.measure.files import inspect
from compress_bench.report import render_html, render_markdown
from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.repair import climbed, ladder, repair_sentence, repair_table
from compress_bench.report.repair_figures import draw_ladder
from compress_bench.report.sentences import all_sentences
from compress_bench.subjects.bundle import find_files, open_bundle
from compress_bench.targets.local import stream
from report_sample import build_report
from search_sample import repair
from test_report_page import EVIL, Outline


def report(**fields):
    return {**build_report(), "repair": {**repair(), **fields}}


def ladder_of(delivered, *steps, **fields):
    """A ladder of the steps at these places, of which one is delivered."""
    every = [repair()["steps"][place] for place in steps]
    for step in every:
        step["delivered"] = step["name"] == delivered
    return report(steps=every, **fields)


def test_the_step_is_delivered_that_the_bundle_says():
    assert ladder(report()).delivered.name == "qat"
    assert ladder(ladder_of("", 0, 1)).delivered is None


def test_a_dropped_step_that_keeps_the_budget_is_told_shown_and_drawn_as_delivered():
    content = ladder_of("range_method", 0, 1)
    found = ladder(content)
    assert "the budget is met by another range method, with a drop" in repair_sentence(content)
    rows = repair_table(found).rows
    assert [(row.cells[0].full, row.is_chosen) for row in rows] == [
        ("kept", False),
        ("delivered", True),
    ]
    assert render_html(content).count('<tr class="chosen">') == 1


def test_a_met_budget_is_said_with_step_drop_and_cost():
    assert repair_sentence(report()) == (
        "int8 repair: the budget is met by quantisation-aware training with distillation, with "
        "a drop of 0.15 points (-0.15 to 0.45) in place of 3.10 points (2.20 to 4.00) of plain "
        "int8, within --max-drop 0.3; chosen on 2,000 validation images, in 2 min."
    )


def test_a_budget_that_is_not_met_is_said():
    assert repair_sentence(ladder_of("bias_correction", 0, 1, 2, met=False)) == (
        "int8 repair: the budget is not met; the best is bias correction, with a drop of 1.20 "
        "points (0.60 to 1.80) in place of 3.10 points (2.20 to 4.00) of plain int8, above "
        "--max-drop 0.3; chosen on 2,000 validation images, in 20 s."
    )


def test_plain_int8_has_one_line_and_no_section():
    plain = ladder_of("plain", 0)
    assert climbed(plain) is None
    line = (
        "int8 repair: none was needed, plain int8 has a drop of 3.10 points (2.20 to 4.00), within "
        "--max-drop 0.3."
    )
    assert repair_sentence(plain) == line
    assert line in all_sentences(plain)
    page = render_html(plain)
    assert 'id="repair"' not in page
    assert "none was needed" in page


def test_a_repair_that_was_not_asked_for_is_said():
    assert repair_sentence(ladder_of("plain", 0, met=False, asked="none")) == (
        "int8 repair: plain int8 has a drop of 3.10 points (2.20 to 4.00), above --max-drop 0.3 "
        "and --repair none asked for none."
    )


@pytest.mark.parametrize("found", [None, {}, {"steps": []}, {"steps": ["text"]}])
def test_without_a_ladder_nothing_is_said(found):
    content = {**build_report(), "repair": found}
    assert ladder(content) is None
    assert repair_sentence(content) == ""
    assert 'id="repair"' not in render_html(content)


def test_every_step_has_a_row_and_what_was_not_tried_a_dash():
    table = repair_table(ladder(report()))
    assert [row.name for row in table.rows] == [step["title"] for step in repair()["steps"]]
    assert [row.cells[0].full for row in table.rows] == [
        "kept",
        "dropped",
        "kept",
        "skipped",
        "failed",
        "delivered",
    ]
    assert table.rows[0].cells[1].full == "3.10 points (2.20\N{EN DASH}4.00)"
    assert table.rows[5].cells[1].full == "0.15 points (-0.15 to 0.45)"
    assert all(cell.empty for cell in table.rows[3].cells[1:])
    assert table.rows[3].detail == "no pair of layers"


def test_the_figure_has_a_row_for_each_step_that_was_tried():
    with drawing_style():
        ((name, drawing),) = draw_ladder(ladder(report())).items()
        named = re.findall(r"<text[^>]*>([^<]*)</text>", to_svg(drawing.figure, name))
    assert {"plain int8", "another range method", "bias correction", "--max-drop 0.3"} <= set(named)
    assert "cross-layer equalisation" not in named
    assert drawing.label.endswith("distillation 0.15 points (-0.15 to 0.45).")


def test_an_unknown_budget_has_no_line():
    with drawing_style():
        ((name, drawing),) = draw_ladder(ladder(report(max_drop=None))).items()
        assert "--max-drop" not in to_svg(drawing.figure, name)


def test_the_page_has_sentence_table_and_figure():
    page = render_html(report())
    outline = Outline(page)
    assert (outline.wrong, outline.open) == ([], [])
    assert '<h2 id="repair">Repair of int8</h2>' in page
    assert page.count("the budget is met by") == 1
    assert "Drop of validation accuracy by step" in page


def test_markup_in_a_ladder_is_text():
    steps = [{**step, "title": EVIL, "said": EVIL, "status": EVIL} for step in repair()["steps"]]
    assert "<script" not in render_html(report(steps=steps))


def test_markdown_has_the_table():
    text = render_markdown(report())
    assert "**Repair of int8**\n\n| Step | Status | Drop on validation |" in text


def test_a_bundle_hands_its_ladder_to_the_report(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle")
    files = find_files([folder])
    described = inspect(stream, files, {})[1]
    assert open_bundle(folder, described, None).repair is None
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    content["checks"] = {"int8": {"repair": repair()}}
    path.write_text(json.dumps(content))
    assert open_bundle(folder, described, None).repair == repair()
