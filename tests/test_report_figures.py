import re
import warnings

import pytest

from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.confusions import confusion_of, worst_pairs
from compress_bench.report.figures import figure_names, figures_for, load_figure
from compress_bench.report.labels import overlap, place_beside, spread
from compress_bench.report.series import by_variant
from compress_bench.report.ticks import round_ticks
from report_sample import bare_report, build_report, changed, full_report


def svg_of(name, report):
    with drawing_style():
        return to_svg(load_figure(name).draw(report).figure, name)


@pytest.fixture(scope="module")
def drawn():
    """Every figure of the sample as SVG."""
    return {name: svg_of(name, full_report()) for name in figure_names()}


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("name", figure_names())
def test_every_figure_is_one_svg_in_the_pages_colours(drawn, name):
    svg = drawn[name]
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert svg.count("<svg") == 1
    assert "var(--ink, #1b1f24)" in svg
    assert "#0102" not in svg  # a stand-in colour that was left
    assert "http" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg  # it would hold for the whole page


@pytest.mark.parametrize("name", figure_names())
def test_every_figure_has_words_around_it(name):
    with drawing_style():
        drawing = load_figure(name).draw(full_report())
    assert drawing.title and drawing.caption
    assert drawing.label.endswith(".")


@pytest.mark.parametrize("name", figure_names())
def test_every_figure_is_the_same_twice(drawn, name):
    assert svg_of(name, full_report()) == drawn[name]


def test_ids_of_all_figures_are_unique_on_a_page(drawn):
    ids = [found for svg in drawn.values() for found in re.findall(r'\bid="([^"]*)"', svg)]
    assert len(ids) == len(set(ids))


def test_a_report_without_numbers_has_no_figures():
    report = bare_report()
    for fields in report["variants"].values():
        fields.update(dict.fromkeys(fields))
    assert figures_for(report) == {}


def test_figures_come_in_the_order_of_their_positions():
    assert list(figures_for(full_report())) == [
        "accuracy_latency",
        "accuracy_size",
        "latency_distribution",
        "layer_times",
        "cold_start",
        "paced",
        "sustained",
        "sweep",
        "training_accuracy",
        "training_loss",
        "confusion",
    ]


def test_a_report_of_before_has_the_figures_that_it_has_the_numbers_for():
    assert list(figures_for(build_report())) == [
        "accuracy_latency",
        "accuracy_size",
        "latency_distribution",
        "training_accuracy",
        "training_loss",
        "confusion",
    ]


def test_an_emulated_machine_has_no_figure_of_a_time():
    report = changed(full_report(), True, "machine", "emulated")
    assert list(figures_for(report)) == [
        "accuracy_size",
        "training_accuracy",
        "training_loss",
        "confusion",
    ]


def test_points_and_lines_are_named_where_they_are(drawn):
    for name in ("accuracy_latency", "accuracy_size"):
        assert {"teacher", "baseline", "student", "student_int8"} <= set(texts(drawn[name]))
    assert {"teacher", "baseline", "student"} <= set(texts(drawn["training_loss"]))


def test_names_with_dollars_and_foreign_letters_are_drawn_as_they_are():
    report = build_report()
    report["data"]["classes"] = ["$x^2$", "靴", "<b>", *report["data"]["classes"][3:]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = texts(svg_of("confusion", report))
    assert {"$x^2$", "靴", "&lt;b&gt;"} <= set(named)


def test_a_single_variant_and_a_single_epoch_can_be_drawn():
    report = build_report()
    report["variants"] = {"student": report["variants"]["student"]}
    report["history"] = {"student": report["history"]["student"][:1], "teacher": None}
    with drawing_style():
        for name, figure in figures_for(report).items():
            drawing = figure.draw(report)
            assert "student" in drawing.label
            assert to_svg(drawing.figure, name).endswith("</svg>")


def test_histories_without_values_are_left_out():
    report = changed(build_report(), [{"epoch": 1, "loss": None}], "history", "teacher")
    assert "teacher" not in texts(svg_of("training_loss", report))


def test_many_classes_are_cut_to_those_that_err_most():
    report = build_report()
    number = 30
    counts = [[10 if i == j else 0 for j in range(number)] for i in range(number)]
    counts[27][3] = 10  # class 27 is right in half
    report["data"]["classes"] = [f"class {i}" for i in range(number)]
    report["variants"]["student_int8"]["confusion"] = counts
    found = confusion_of(report)
    assert (len(found.classes), found.total) == (16, 30)
    assert "class 27" in found.classes
    assert worst_pairs(found) == [("class 27", "class 3", 0.5)]
    with drawing_style():
        caption = load_figure("confusion").draw(report).caption
    assert "16 of 30 classes" in caption


def test_a_confusion_that_is_not_square_is_left_out():
    report = build_report()
    for fields in report["variants"].values():
        fields["confusion"] = [[1, 2], [3]]
    assert confusion_of(report) is None


def test_every_variant_has_its_own_look():
    looks = by_variant(build_report())
    assert len({look.paint for look in looks.values()}) == 4
    assert len({look.marker for look in looks.values()}) == 4


def test_a_second_runtime_looks_as_the_first_one_but_hollow():
    looks = by_variant(full_report())
    first, second = looks["student_int8"], looks["student_int8@openvino"]
    assert (second.paint, second.marker) == (first.paint, first.marker)
    assert (first.filled, second.filled) == (True, False)


def test_spread_keeps_the_gap_and_moves_nothing_that_has_room():
    assert spread([50.0, 10.0, 12.0], 10.0) == [50.0, 6.0, 16.0]


def test_spread_joins_blocks_that_grow_into_each_other():
    # 0 and 1 become -4.5 and 5.5; 9 is too near, so all three centre on their mean 10/3.
    assert spread([0.0, 1.0, 9.0], 10.0) == pytest.approx([-20 / 3, 10 / 3, 40 / 3])


def test_overlap_is_the_shared_area():
    assert overlap((0, 0, 4, 4), (3, 2, 9, 9)) == 2
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0


def test_names_of_close_points_do_not_cover_each_other():
    points = [(100.0, 100.0), (104.0, 102.0), (96.0, 98.0)]
    frame = (0.0, 0.0, 300.0, 200.0)
    places = place_beside(points, [(60.0, 12.0)] * 3, [], frame)
    boxes = [
        (x, p.y - 6, x + 60, p.y + 6)
        for p in places
        for x in [p.x if p.align == "left" else p.x - 60]
    ]
    assert all(overlap(a, b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_name_at_the_right_edge_goes_to_the_left():
    place = place_beside([(290.0, 50.0)], [(60.0, 12.0)], [], (0.0, 0.0, 300.0, 100.0))[0]
    assert (place.align, place.moved) == ("right", False)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.00007, 0.0055, [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005]),
        (1.2, 3.2, [1.5, 2, 2.5, 3]),
        (0.5, 5e5, [1, 10, 100, 1000, 10_000, 100_000]),
    ],
)
def test_ticks_are_round_and_few(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)
