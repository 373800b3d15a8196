"""What the figures of times say, beside how they look."""

import re

import pytest

from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.figures import load_figure
from compress_bench.report.figures.sustained import courses_of
from compress_bench.report.format import Estimate
from compress_bench.report.legend import Entry, legend_height
from compress_bench.report.panels import Layout, Line, Mark, Panel, draw_panels
from compress_bench.report.spreads import reach, spreads_of
from compress_bench.report.starts import starts_of
from report_sample import bare_report, build_report, changed, full_report


def drawn(name, report):
    with drawing_style():
        drawing = load_figure(name).draw(report)
        return drawing, to_svg(drawing.figure, name)


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_the_distribution_has_a_row_with_its_number_of_inferences_per_variant():
    _, svg = drawn("latency_distribution", full_report())
    assert texts(svg).count("n = 700") == 6
    assert {"p50", "p90", "p99", "student_int8@openvino"} <= set(texts(svg))


def test_inferences_beyond_the_axis_are_counted_in_the_caption():
    report = full_report()
    report["variants"]["student"]["samples_seconds"][0][0] = 1.0
    caption = drawn("latency_distribution", report)[0].caption
    assert re.search(r"Further right than shown: .*of 700 of student\b", caption)


def test_all_rows_span_the_same_factor_from_the_fastest_to_the_highest_bound():
    report = bare_report()
    for name, p50 in (("large", 0.004), ("small", 0.001)):
        fields = report["variants"][name]
        fields["samples_seconds"] = [[p50 * 0.9, p50, p50 * 1.1]]
        fields["latency"] = {"p50": {"value": p50, "low": p50 * 0.8, "high": p50 * 1.5}}
    assert reach(spreads_of(report)) == pytest.approx((0.9 * 0.97, 1.5 * 1.05))


def test_a_percentile_beyond_the_axis_is_named_with_its_value():
    report = full_report()
    report["variants"]["teacher"]["latency"]["p99"].update(value=0.05, low=0.04, high=0.06)
    found = texts(drawn("latency_distribution", report)[1])
    assert "p99 50.0 ms \N{RIGHTWARDS ARROW}" in found


def test_the_copys_inferences_stand_beside_the_reference_only():
    found = spreads_of(full_report())
    assert [spread.name for spread in found if spread.copy.size] == ["teacher"]


def test_a_percentile_that_is_not_given_has_no_mark():
    _, svg = drawn("latency_distribution", build_report())
    assert "p90" in texts(svg)
    assert "p99" not in texts(svg)


def test_modules_of_float32_and_int8_share_a_panel_and_the_teacher_has_its_own():
    drawing, svg = drawn("layer_times", full_report())
    assert "teacher (share of teacher)" in texts(svg)
    assert "student, student_int8 (share of student_int8)" in texts(svg)
    assert {"layer1.0.conv1", "features.0"} <= set(texts(svg))
    assert "teacher: layer1.0.conv1 with 1.50 ms" in drawing.label


def test_float_islands_are_in_the_legend_where_there_are_any():
    report = full_report()
    assert "float within int8" in texts(drawn("layer_times", report)[1])
    report["variants"]["student_int8"]["layers"]["islands"] = []
    assert "float within int8" not in texts(drawn("layer_times", report)[1])


def test_a_module_that_computes_and_moves_has_two_rows():
    report = full_report()
    rows = report["variants"]["teacher"]["layers"]["rows"]
    rows.append({**rows[0], "kind": "move", "seconds": rows[0]["seconds"] / 2})
    found = texts(drawn("layer_times", report)[1])
    assert {"layer1.0.conv1", "layer1.0.conv1 (moves data)"} <= set(found)


def test_a_cold_start_ends_at_its_slowest_process():
    start = starts_of(full_report())["teacher"]
    assert list(start.phases) == [
        "Python",
        "numpy",
        "runtime",
        "loading the model",
        "first inference",
    ]
    total = sum(start.phases.values())
    assert start.end == pytest.approx(1.12 * total)


def test_windows_stand_where_they_ended():
    report = full_report()
    fields = report["variants"]["teacher"]["sustained"]
    fields["windows_end_seconds"] = [7.0 * (i + 1) for i in range(12)]
    only = {"teacher": report["variants"]["teacher"]}
    assert courses_of({**report, "variants": only})[0].seconds[-1] == 84.0


def test_a_start_without_pythons_own_time_says_so():
    report = full_report()
    for fields in report["variants"].values():
        fields["cold_start"]["python_seconds"] = None
    drawing, svg = drawn("cold_start", report)
    assert "Python is left out" in drawing.caption
    assert "Python" not in texts(svg)


def test_a_start_without_its_phases_is_not_stacked():
    assert starts_of(build_report()) == {}


def test_the_deadline_is_named_in_the_paced_figure():
    drawing, svg = drawn("paced", full_report())
    assert "deadline 33.3 ms" in texts(svg)
    assert "student_int8 153 \N{GREEK SMALL LETTER MU}s, 0.0 % missed" in drawing.label


def test_sustained_times_are_scaled_by_the_burst():
    report = full_report()
    only = {"teacher": report["variants"]["teacher"]}
    only["teacher"]["sustained"]["ratio"] = {"value": 1.25, "low": 1.2, "high": 1.3}
    drawing, svg = drawn("sustained", {**report, "variants": only})
    assert "1.25\N{MULTIPLICATION SIGN}" in texts(svg)
    assert "teacher 1.25\N{MULTIPLICATION SIGN} (1.20\N{EN DASH}1.30)" in drawing.label


def test_the_sweep_marks_what_is_recommended_once_a_variant():
    _, svg = drawn("sweep", full_report())
    assert texts(svg).count("recommended") == 2
    assert texts(svg).count("2 threads, spinning") == 2


def test_a_value_without_bounds_can_be_drawn():
    report = full_report()
    for row in report["sweep"]["rows"]:
        row["p50"].update(low=None, high=None)
    for fields in report["variants"].values():
        fields["cold_start"]["total_seconds"] = None
        fields["sustained"]["ratio"] = None
        fields["paced"].update(missed={"value": 0.1, "low": None, "high": None}, p99=None)
        fields["layers"] = fields["layers"] and {
            **fields["layers"],
            "rows": [{**row, "low": None, "high": None} for row in fields["layers"]["rows"]],
        }
    for name in ("sweep", "cold_start", "sustained", "paced", "layer_times"):
        assert drawn(name, report)[1].endswith("</svg>")


def test_equal_values_near_each_other_still_have_an_axis():
    panel = Panel("", (Line("one", (Mark(Estimate(0.5), "ink", "o"),)),))
    with drawing_style():
        figure = draw_panels([panel], Layout(axis="x", tick=str, scale="near"))
    low, high = figure.axes[-1].get_xlim()
    assert low < 0.5 < high


def test_a_legend_that_is_too_wide_takes_another_line():
    one, many = [Entry("short")], [Entry("a name of some length")] * 4
    assert legend_height(many) > legend_height(one) > legend_height([]) == 0


def test_an_unknown_machine_has_no_deadline():
    report = full_report()
    for fields in report["variants"].values():
        fields["paced"]["deadline_seconds"] = None
    assert not any("deadline" in text for text in texts(drawn("paced", report)[1]))


def test_rows_of_another_shape_are_left_out():
    report = changed(full_report(), [{"variant": "teacher"}, {}], "sweep", "rows")
    assert not load_figure("sweep").applies(report)
