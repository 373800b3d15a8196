import re

from compress_bench.report import render_markdown
from compress_bench.report.markdown_view import escape
from report_sample import bare_report, build_report, changed


def table_of(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_every_table_line_has_the_same_number_of_cells():
    lines = table_of(render_markdown(build_report()))
    assert len(lines) == 6
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}


def test_a_row_holds_the_variant_and_its_numbers():
    row = next(line for line in table_of(render_markdown(build_report())) if "int8" in line)
    assert row.startswith("| student_int8 (lenet5, int8, distilled) | 88.8 % (87.3")


def test_verdict_goals_and_sentences_follow_the_table():
    text = render_markdown(build_report())
    assert "**PASS** All 3 goals are met.\n\n- **PASS** student_int8 latency.p50" in text
    assert "\n\nDistillation helped: +1.2 points" in text


def test_markup_in_names_is_escaped():
    assert escape("a|b <script> `x` *y* _z_ a_b [u](v)") == (
        r"a\|b &lt;script&gt; \`x\` \*y\* \_z\_ a_b \[u\](v)"
    )


def test_a_reference_with_a_bar_does_not_add_a_column():
    report = build_report()
    report["variants"]["res|net\nb"] = report["variants"].pop("teacher")
    report["settings"]["reference"] = "res|net\nb"
    lines = table_of(render_markdown(report))
    assert r"Drop against res\|net b" in lines[0]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}


def test_a_name_with_a_bar_does_not_add_a_cell():
    report = changed(build_report(), "res|net", "variants", "teacher", "network")
    lines = table_of(render_markdown(report))
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}


def test_a_bare_report_renders():
    assert "**NO GOALS**" in render_markdown(bare_report())
