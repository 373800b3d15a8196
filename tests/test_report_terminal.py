import io
import re

import pytest
from rich.console import Console

from compress_bench.report import render_terminal
from report_sample import bare_report, build_report, changed, full_report


def rendered(report, *, terminal=True, width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, force_terminal=terminal, width=width, no_color=False)
    render_terminal(report, console)
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(width):
    lines = plain(rendered(build_report(), width=width)).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for number in ("91.8 %", "(29.8\N{EN DASH}30.7)", "70.9 kB", "peak 45.4 MB", "272,474"):
        assert number in text


def test_eighty_columns_hold_all_four_variants_side_by_side():
    lines = plain(rendered(build_report())).splitlines()
    sizes = next(line for line in lines if line.startswith("File size"))
    assert sizes.split()[2:] == ["1.10", "MB", "249", "kB", "249", "kB", "70.9", "kB"]


def test_the_verdict_has_a_word_beside_its_colour():
    assert "PASS  All 3 goals are met." in plain(rendered(build_report()))


def test_a_missed_goal_shows_its_remedy_and_a_met_one_does_not():
    report = build_report()
    report["verdict"]["goals"][0].update(status="fail", remedy="take a smaller student")
    report["verdict"]["goals"][1].update(remedy="nothing to do")
    text = plain(rendered(report, width=120))
    assert "FAIL" in text
    assert "Take a smaller student." in text
    assert "Nothing to do" not in text


def test_piped_output_has_no_escapes_and_one_line_a_variant():
    text = rendered(build_report(), terminal=False)
    assert "\x1b" not in text
    rows = [re.split(r"  +", line) for line in text.splitlines()[:5]]
    assert [row[0] for row in rows] == ["variant", "teacher", "baseline", "student", "student_int8"]
    assert {len(row) for row in rows} == {9}


def test_piped_output_of_every_measure_has_one_line_a_variant():
    lines = rendered(full_report(), terminal=False).splitlines()
    rows = [re.split(r"  +", line) for line in lines[:7]]
    assert [row[0] for row in rows] == [
        "variant",
        "teacher",
        "baseline",
        "student",
        "student@openvino",
        "student_int8",
        "student_int8@openvino",
    ]
    assert {len(row) for row in rows} == {9}


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_finding_fits_the_terminal(width):
    text = plain(rendered(full_report(), width=width))
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for lead in (
        "A/A control:",
        "Slowest modules of student_int8:",
        "Recommended session settings:",
        "OpenVINO or ONNX Runtime for student_int8:",
        "At 30 frames a second:",
        "Burst and sustained:",
        "Against an earlier report:",
    ):
        assert lead in flat


def test_an_ascii_terminal_gets_ascii():
    text = rendered(build_report(), terminal=False, encoding="ascii")
    assert "30.2x (29.8-30.7)" in text


def test_an_ascii_terminal_gets_an_ascii_table():
    assert "30.2x" in rendered(build_report(), encoding="ascii")


def test_names_with_square_brackets_are_not_markup():
    report = bare_report()
    report["variants"] = {"[bold]x[/bold]": report["variants"]["small"]}
    report = changed(report, None, "settings", "reference")
    assert "[bold]x[/bold]" in plain(rendered(report))


def test_a_bare_report_renders():
    assert "NO GOALS" in plain(rendered(bare_report()))
