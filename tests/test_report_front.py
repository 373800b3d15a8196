"""The Pareto front: by value as a line, by intervals in words."""

from compress_bench.report.canvas import drawing_style, to_svg
from compress_bench.report.figures import load_figure
from compress_bench.report.format import Estimate
from compress_bench.report.front import front_of, front_words, surely_beats
from compress_bench.report.scatter import Point
from compress_bench.report.series import by_role
from report_sample import build_report


def point(name, cost, accuracy, *, half=0.0, share=0.0):
    return Point(
        name,
        Estimate(cost, cost * (1 - share), cost * (1 + share)),
        Estimate(accuracy, accuracy - half, accuracy + half),
        by_role("student"),
    )


def test_what_another_one_beats_in_both_values_is_behind_the_front():
    points = [point("dear", 3, 0.9), point("bad", 2, 0.7), point("cheap", 1, 0.8)]
    assert [p.name for p in front_of(points)] == ["cheap", "dear"]


def test_of_equally_cheap_ones_the_less_accurate_is_behind():
    points = [point("better", 1, 0.9), point("worse", 1, 0.8)]
    assert [p.name for p in front_of(points)] == ["better"]


def test_two_alike_are_both_on_the_front():
    assert len(front_of([point("one", 1, 0.9), point("other", 1, 0.9)])) == 2


def test_intervals_that_overlap_show_nothing():
    fast, slow = point("fast", 1, 0.9, half=0.02), point("slow", 2, 0.87, half=0.02)
    assert front_of([fast, slow]) == [fast]
    assert not surely_beats(fast, slow)
    assert "by value only, since intervals overlap: slow." in front_words([fast, slow])


def test_intervals_that_lie_apart_show_who_is_beaten():
    fast = point("fast", 1, 0.9, half=0.01, share=0.1)
    slow = point("slow", 2, 0.8, half=0.01, share=0.1)
    assert surely_beats(fast, slow)
    assert "shown to be by the intervals: slow." in front_words([fast, slow])


def test_a_single_point_is_no_front():
    assert front_words([point("one", 1, 0.9)]) == ""


def test_the_front_is_drawn_where_two_variants_are_on_it():
    with drawing_style():
        drawing = load_figure("accuracy_size").draw(build_report())
        svg = to_svg(drawing.figure, "accuracy_size")
    assert "stroke-dasharray" in svg
    assert "by value only, since intervals overlap: baseline." in drawing.caption
