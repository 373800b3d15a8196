import pytest

from compress_bench.report.sentences import all_sentences, distillation, headline, int8_worth
from compress_bench.report.verdict import verdict
from report_sample import bare_report, build_report, changed, interval


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (interval(0.012, 0.004, 0.02), "Distillation helped: +1.2 points (0.4 to 2.0) of"),
        (
            interval(0.003, -0.005, 0.011),
            "Distillation did not help beyond its interval: +0.3 points (-0.5 to 1.1) of",
        ),
        (interval(-0.012, -0.02, -0.004), "Distillation hurt: -1.2 points (-2.0 to -0.4) of"),
        (interval(0.012, None, None), "Distillation did not help beyond its interval: +1.2 points"),
    ],
)
def test_distillation_is_judged_by_its_interval(comparison, sentence):
    assert distillation(changed(build_report(), comparison, "comparison")).startswith(sentence)


def test_without_a_baseline_the_way_to_one_is_named():
    assert "--with-baseline" in distillation(changed(build_report(), None, "comparison"))


def test_without_a_teacher_nothing_is_said_of_distillation():
    assert distillation(bare_report()) == ""


def with_pace(factor, cost=(0.0015, -0.002, 0.005)):
    """The sample with int8 inferences that take `factor` of the student's time."""
    report = build_report()
    student = report["variants"]["student"]
    report["variants"]["student_int8"]["samples_seconds"] = [
        [value * factor * (1 + i / 1000) for value in process]
        for i, process in enumerate(student["samples_seconds"])
    ]
    return changed(report, cost and interval(*cost), "int8_comparison")


def test_int8_that_is_faster_and_cheap_was_worth_it():
    sentence = int8_worth(with_pace(0.5, cost=(0.002, 0.001, 0.003)))
    # 249312 / 70884 bytes; time ratios 2 / (1 + i/1000), mean log at i = 2.
    assert sentence.startswith("int8 was worth it: 3.52 times smaller and 2.00 times faster (1.99 ")
    assert sentence.endswith("), for 0.2 points (0.1 to 0.3) of accuracy.")


def test_int8_that_is_slower_paid_in_size_only():
    sentence = int8_worth(with_pace(2.0))
    assert sentence.startswith("int8 paid in size only: 3.52 times smaller and 2.00 times slower")


def test_int8_within_the_resolution_is_neither_faster_nor_slower():
    sentence = int8_worth(with_pace(0.995))
    assert sentence.startswith("int8 paid in size: 3.52 times smaller and 1.00 times faster (not")


def test_int8_that_is_neither_smaller_nor_faster_brought_nothing():
    report = with_pace(0.995)
    report["variants"]["student_int8"]["size_bytes"] = 249_312
    assert int8_worth(report).startswith("int8 brought nothing that can be measured: equally large")


def test_int8_that_costs_more_than_a_point_is_not_called_worth_it():
    sentence = int8_worth(with_pace(0.5, cost=(0.02, 0.012, 0.028)))
    assert sentence.startswith("int8 costs more than 1 point of accuracy: 3.52")
    assert sentence.endswith("for 2.0 points (1.2 to 2.8) of accuracy.")


def test_int8_whose_interval_reaches_below_a_point_only_may_cost_more():
    sentence = int8_worth(with_pace(0.5, cost=(0.02, 0.008, 0.032)))
    assert sentence.startswith("int8 may cost more than 1 point of accuracy: 3.52")


def test_int8_whose_interval_holds_zero_has_no_measurable_loss():
    assert "with no measurable loss of accuracy: 0.2 points (-0.2 to 0.5)." in int8_worth(
        with_pace(0.5, cost=(0.002, -0.002, 0.005))
    )


def test_without_images_the_accuracy_of_int8_is_not_claimed():
    assert int8_worth(with_pace(0.5, cost=None)).endswith("; its accuracy was not measured.")


def test_without_a_resolution_no_speed_is_claimed():
    report = changed(with_pace(0.5), None, "resolution")
    assert int8_worth(report).startswith("int8 paid in size: 3.52 times smaller and 2.00 times")


def test_without_int8_nothing_is_said_of_it():
    report = build_report()
    del report["variants"]["student_int8"]
    assert int8_worth(report) == ""


def test_the_headline_names_gain_and_cost():
    assert headline(build_report()) == (
        "student_int8 against teacher: 30.2 times faster and 15.5 times smaller, "
        "for 3.1 points (2.0 to 4.2) of accuracy."
    )


def test_the_headline_says_when_a_speedup_is_not_resolvable():
    path = ("variants", "student_int8", "speedup", "resolvable")
    assert "30.2 times faster (not resolvable" in headline(changed(build_report(), False, *path))


def test_a_drop_whose_interval_holds_zero_is_no_measurable_loss():
    drop = interval(0.002, -0.004, 0.008)
    report = changed(build_report(), drop, "variants", "student_int8", "accuracy_drop")
    assert "no measurable loss of accuracy: 0.2 points (-0.4 to 0.8)" in headline(report)


def test_an_interval_wide_enough_to_hide_a_loss_that_matters_is_not_called_no_loss():
    drop = interval(0.139, -0.005, 0.268)
    report = changed(build_report(), drop, "variants", "student_int8", "accuracy_drop")
    assert "these images are too few to tell: 13.9 points (-0.5 to 26.8) lost" in headline(report)


def test_files_of_one_size_are_not_called_smaller():
    size = build_report()["variants"]["student"]["size_bytes"]
    report = changed(build_report(), size, "variants", "student_int8", "size_bytes")
    assert int8_worth(report).startswith("int8 was worth it: equally large and 1.")


def test_the_measurements_own_notes_come_last():
    report = changed(build_report(), ["small: sizes were assumed"], "notes")
    assert all_sentences(report)[-1] == "small: sizes were assumed"


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([], "No goals were set: this is a measurement without a verdict."),
        (["pass"], "The goal is met."),
        (["pass", "pass"], "All 2 goals are met."),
        (["pass", "fail"], "1 of 2 goals not met."),
        (["inconclusive", "fail"], "1 of 2 goals not met, 1 undecided."),
        (["pass", "inconclusive"], "1 of 2 goals cannot be decided from this measurement."),
    ],
)
def test_the_verdict_counts_goals(statuses, sentence):
    goals = [{"status": status} for status in statuses]
    assert verdict(changed(build_report(), goals, "verdict", "goals")) == sentence
