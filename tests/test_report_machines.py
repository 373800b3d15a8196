import io

import pytest
from rich.console import Console

from compress.errors import UsageError
from compress_bench.report import (
    render_comparison_html,
    render_comparison_markdown,
    render_comparison_terminal,
    render_html,
    render_markdown,
)
from compress_bench.report.machines import cautions, machine_names, machine_tables
from report_sample import build_report, changed


def two():
    board = changed(build_report(), "Cortex-A76 (Raspberry Pi 5)", "machine", "cpu")
    board["variants"]["student_int8"]["latency"]["p50"].update(value=0.0004, low=0.00039, high=None)
    return [build_report(), board]


def test_machines_are_columns_and_each_keeps_its_own_numbers():
    tables = dict(machine_tables(two()))
    latency = tables["p50 latency"]
    assert latency.columns == ("AMD EPYC 7B13, 1 thread", "Cortex-A76 (Raspberry Pi 5), 1 thread")
    row = next(row for row in latency.rows if row.name == "student_int8")
    assert [cell.text for cell in row.cells] == [
        "113 \N{GREEK SMALL LETTER MU}s",
        "400 \N{GREEK SMALL LETTER MU}s",
    ]


def test_machines_that_read_alike_are_numbered():
    assert machine_names([build_report()] * 2) == (
        "AMD EPYC 7B13, 1 thread [1]",
        "AMD EPYC 7B13, 1 thread [2]",
    )


def test_a_variant_that_one_machine_lacks_has_an_empty_cell():
    reports = two()
    del reports[1]["variants"]["baseline"]
    row = next(r for r in dict(machine_tables(reports))["p50 latency"].rows if r.name == "baseline")
    assert [cell.empty for cell in row.cells] == [False, True]


def test_what_differs_between_the_reports_is_said():
    reports = two()
    reports[1]["variants"]["student"]["sha256"] = "0" * 64
    reports[1]["settings"]["profile"] = "quick"
    said = cautions(reports)
    assert "not subtracted" in said[0]
    assert said[1:] == (
        "student: the reports are of different files (their sha256 differ).",
        "settings.profile differs: standard, quick.",
    )


def test_all_three_views_hold_both_machines():
    file = io.StringIO()
    render_comparison_terminal(two(), Console(file=file, width=80))
    for text in (
        file.getvalue(),
        render_comparison_markdown(two()),
        render_comparison_html(two()),
    ):
        assert "AMD EPYC 7B13" in text
        assert "Raspberry Pi 5" in text
        assert "not subtracted" in text


def test_no_report_is_a_usage_error():
    with pytest.raises(UsageError, match="at least one"):
        render_comparison_markdown([])


def test_a_single_report_is_shown_as_it_is():
    report = build_report()
    assert render_comparison_markdown([report]) == render_markdown(report)
    assert render_comparison_html([report]) == render_html(report)
