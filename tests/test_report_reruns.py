"""Several reports: what may be set against each other, and what may not."""

import copy
import io
import re

import pytest
from rich.console import Console

from compress_bench.report import (
    render_comparison_html,
    render_comparison_markdown,
    render_comparison_terminal,
)
from compress_bench.report.canvas import drawing_style
from compress_bench.report.machine_figures import machine_figures
from compress_bench.report.machines import answers
from compress_bench.report.reruns import is_same_machine, reruns
from compress_bench.report.verdict import verdict
from report_sample import build_report, changed, full_report, interval, right_answers


def later(factor=1.0):
    """The same machine once more, int8 slower by `factor`."""
    report = copy.deepcopy(build_report())
    p50 = report["variants"]["student_int8"]["latency"]["p50"]
    p50.update({key: p50[key] * factor for key in ("value", "low", "high")})
    return report


def cells(reports, column="p50 latency"):
    table = dict(reruns(reports)[0].tables)["Differences"]
    return {row.name: row.cells[table.columns.index(column)] for row in table.rows}


def test_runs_of_one_machine_are_compared_with_the_bounds_of_both():
    found = cells([build_report(), later(1.2)])["student_int8"]
    # 1.2 * 0.991 / 1.013 = 1.174 and 1.2 * 1.013 / 0.991 = 1.227
    assert found.full == "1.20\N{MULTIPLICATION SIGN} (1.17\N{EN DASH}1.23)"


def test_bounds_that_reach_the_resolution_tell_no_difference():
    assert cells([build_report(), later(1.03)])["student_int8"].note == "no difference can be told"
    assert cells([build_report(), later(0.98)])["student_int8"].note == "no difference can be told"
    assert cells([build_report(), later(0.8)])["student_int8"].note == ""


def test_without_an_a_a_control_of_both_runs_nothing_is_called_faster():
    second = changed(later(0.5), None, "resolution")
    assert cells([build_report(), second])["student_int8"].note == "no A/A control"


def test_a_time_without_an_interval_is_not_compared():
    second = later(2.0)
    second["variants"]["student_int8"]["latency"]["p50"].update(low=None, high=None)
    assert cells([build_report(), second])["student_int8"].empty


def test_accuracies_on_other_images_are_not_compared():
    second = full_report()
    for fields in second["variants"].values():
        fields["answers"]["images_sha256"] = "b2" * 32
    table = dict(reruns([full_report(), second])[0].tables)["Differences"]
    assert "Test accuracy" not in table.columns


def test_accuracies_on_the_same_images_are_paired():
    second = full_report()
    second["variants"]["student"]["answers"] = right_answers(range(200))
    found = cells([full_report(), second], "Test accuracy")
    # 40 of 2,000 images lost and none won: 2 points, and the interval is below zero.
    assert found["student"].text == "-2.0 points"
    assert re.fullmatch(r"-2\.\d to -1\.\d", found["student"].bounds)
    assert found["teacher"].full == "0.0 points, right on the same images"


def test_answers_that_cannot_be_read_are_not_compared():
    second = full_report()
    second["variants"]["student"]["answers"]["right_base64"] = "not base64!"
    assert cells([full_report(), second], "Test accuracy")["student"].empty


def test_other_threads_are_said_to_forbid_a_difference():
    second = changed(later(), 2, "settings", "threads")
    assert reruns([build_report(), second])[0].tables == ()
    said = render_comparison_markdown([build_report(), second])
    assert "no difference is given for teacher, student, baseline, student_int8: " in said
    assert "threads 2, baseline 1" in said


def test_emulated_runs_are_not_compared():
    emulated = changed(build_report(), True, "machine", "emulated")
    found = reruns([emulated, emulated])[0]
    assert found.tables == ()
    assert "emulated" in found.reasons[0]


def test_instructions_of_different_counters_are_not_compared():
    second = full_report()
    for fields in second["variants"].values():
        fields["instructions_source"] = "valgrind"
    table = dict(reruns([full_report(), second])[0].tables)["Differences"]
    assert "Instructions" not in table.columns


def test_modules_stand_side_by_side_and_those_apart_are_marked():
    second = full_report()
    row = second["variants"]["student_int8"]["layers"]["rows"][0]
    row.update({key: row[key] * 1.5 for key in ("seconds", "low", "high")})
    table = dict(reruns([full_report(), second])[0].tables)["Modules of student_int8"]
    assert [row.name for row in table.rows][:2] == ["features.0", "features.3"]
    assert [row.cells[1].note for row in table.rows] == ["longer", "", "", "", ""]


@pytest.mark.parametrize(
    ("key", "value"),
    [("cpu", "another"), ("isa", ["avx2"]), ("cores", 4), ("memory_bytes", 16_000_000_000)],
)
def test_machines_that_differ_in_anything_but_the_kernel_are_never_compared(key, value):
    other = changed(build_report(), value, "machine", key)
    assert not is_same_machine(build_report(), other)
    assert reruns([build_report(), other]) == ()


def test_another_kernel_is_the_same_machine():
    other = changed(build_report(), "6.12.0", "machine", "kernel")
    other["machine"]["memory_bytes"] += 1_000_000
    assert is_same_machine(build_report(), other)


def test_machines_without_a_name_are_not_called_the_same():
    unknown = changed(build_report(), None, "machine")
    assert not is_same_machine(unknown, unknown)


def other_machine():
    return changed(build_report(), "Cortex-A76 (Raspberry Pi 5)", "machine", "cpu")


def test_the_same_file_that_is_right_more_often_elsewhere_is_said():
    board = other_machine()
    board["variants"]["student_int8"]["accuracy"] = interval(0.884, 0.87, 0.9)
    found = answers([build_report(), board])
    assert len(found) == 1
    assert found[0].startswith(
        "student_int8: the same file is right on 88.75 % on AMD EPYC 7B13, 1 thread, 88.40 % on "
    )


def test_equal_accuracy_by_other_answers_is_said():
    board = other_machine()
    board["variants"]["student_int8"]["confusion"][0][1] += 1
    assert "gives some images other answers" in answers([build_report(), board])[0]


def test_how_many_images_are_answered_otherwise_is_said():
    board = changed(full_report(), "Cortex-A76 (Raspberry Pi 5)", "machine", "cpu")
    board["variants"]["student_int8"]["answers"] = right_answers(range(7, 167))
    assert answers([full_report(), board]) == [
        "student_int8: the same file gives some images other answers (14 are right on one machine "
        "only); processors can round otherwise, above all in int8."
    ]


def test_other_files_or_images_say_nothing_of_processors():
    board = other_machine()
    board["variants"]["student_int8"].update(sha256="0" * 64, accuracy=interval(0.8, 0.7, 0.9))
    assert answers([build_report(), board]) == []
    images = changed(other_machine(), 1000, "data", "n")
    images["variants"]["student"]["accuracy"] = interval(0.8, 0.7, 0.9)
    assert answers([build_report(), images]) == []


def test_the_figures_have_a_row_per_machine_and_no_ratio_between_them():
    with drawing_style():
        found = machine_figures([full_report(), other_machine()])
    assert list(found) == ["machines_latency", "machines_accuracy"]
    label = found["machines_latency"].label
    assert "teacher on Cortex-A76 (Raspberry Pi 5), 1 thread 3.41 ms" in label
    assert "\N{MULTIPLICATION SIGN}" not in label


def test_emulated_machines_have_no_latency_figure():
    emulated = changed(other_machine(), True, "machine", "emulated")
    with drawing_style():
        found = machine_figures([build_report(), emulated])
    assert "emulated" not in found["machines_latency"].label
    with drawing_style():
        assert list(machine_figures([emulated, emulated])) == ["machines_accuracy"]


def test_the_page_shows_figures_reruns_and_both_machines():
    page = render_comparison_html([build_report(), later(1.2), other_machine()])
    for part in ("Latency by machine", "Accuracy by machine", "the same machine</h2>", "Kernel"):
        assert part in page


def test_a_goal_that_does_not_decide_is_not_counted():
    report = changed(build_report(), "pass", "verdict", "status")
    report["verdict"]["goals"][0].update(status="inconclusive", decides=False)
    assert verdict(report) == "All 2 goals are met."


def test_the_terminal_shows_modules_only_where_one_is_apart():
    def shown(second):
        file = io.StringIO()
        render_comparison_terminal([full_report(), second], Console(file=file, width=100))
        return file.getvalue()

    second = full_report()
    assert "Modules of" not in shown(second)
    row = second["variants"]["student_int8"]["layers"]["rows"][0]
    row.update({key: row[key] * 1.5 for key in ("seconds", "low", "high")})
    text = shown(second)
    assert "the same machine: Modules of student_int8" in text
    assert "Modules of teacher" not in text
