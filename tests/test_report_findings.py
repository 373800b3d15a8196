"""What the deeper measurements say in words."""

import pytest

from compress_bench.report.caption import caption
from compress_bench.report.findings import findings, paced, runtimes, slowest, sustained
from compress_bench.report.sentences import all_sentences
from report_sample import bare_report, build_report, changed, full_report, interval, right_answers

US = "\N{GREEK SMALL LETTER MU}s"


def with_pace(factor):
    """The sample whose OpenVINO takes `factor` of the student's time in every process."""
    report = full_report()
    del report["variants"]["student_int8@openvino"]
    samples = report["variants"]["student"]["samples_seconds"]
    report["variants"]["student@openvino"]["samples_seconds"] = [
        [value * factor for value in process] for process in samples
    ]
    return report


def test_a_runtime_that_is_faster_beyond_doubt_is_said_to_be():
    said = " ".join(runtimes(with_pace(0.5)))
    assert said.startswith(
        "OpenVINO or ONNX Runtime for student: OpenVINO is 2.00 times faster (2.00 to 2.00), "
    )
    assert f"181 {US} with ONNX Runtime (1 thread) and 127 {US} with OpenVINO (2 threads)" in said
    assert f"CPU time per inference 179 {US} and 241 {US}." in said


def test_a_runtime_that_is_slower_is_not_recommended():
    assert "student: ONNX Runtime is 2.00 times faster (2.00 to 2.00), " in " ".join(
        runtimes(with_pace(2.0))
    )


def test_a_difference_below_the_resolution_is_none():
    assert "no difference in time can be told" in " ".join(runtimes(with_pace(0.99)))


def test_too_few_processes_tell_no_difference():
    report = with_pace(0.5)
    for fields in report["variants"].values():
        fields["samples_seconds"] = fields["samples_seconds"][:4]
    assert "no difference in time can be told" in " ".join(runtimes(report))


def test_without_an_a_a_control_no_runtime_is_better():
    report = changed(with_pace(0.5), None, "resolution")
    assert "no difference in time can be told" in " ".join(runtimes(report))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("faster", "OpenVINO is 1.20 times faster (1.10 to 1.30)"),
        ("slower", "ONNX Runtime is 0.83 times faster"),
        ("no difference can be told", "no difference in time can be told"),
    ],
)
def test_the_reports_own_verdict_goes_before_samples(verdict, said):
    report = with_pace(0.5)
    own = interval(1.2, 1.1, 1.3, vs="student", verdict=verdict)
    report["variants"]["student@openvino"]["speedup"] = own
    assert said in " ".join(runtimes(report))


def test_runtimes_that_answer_otherwise_are_said_to():
    report = with_pace(0.5)
    report["variants"]["student@openvino"]["confusion"][0][0] -= 1
    assert " ".join(runtimes(report)).endswith("Their answers to the test images differ in part.")


def test_images_that_only_one_runtime_has_right_are_counted():
    report = with_pace(0.5)
    report["variants"]["student@openvino"]["answers"] = right_answers(range(1, 160))
    assert " ".join(runtimes(report)).endswith(". 1 test image only one of them has right.")


def test_emulated_runtimes_are_not_compared():
    assert list(runtimes(changed(with_pace(0.5), True, "machine", "emulated"))) == []


def test_the_three_slowest_modules_of_the_deployed_variant_are_named():
    said = " ".join(slowest(full_report()))
    assert said.startswith("Slowest modules of student_int8: features.0 (")
    assert said.count("%") == 4  # three modules and the island


def test_a_cameras_pace_gives_misses_with_their_interval():
    assert list(paced(full_report())) == [
        "At 30 frames a second: student_int8 missed 0.0 % (0.0 to 0.4) of 900 frames, with "
        f"148 {US} of CPU time a frame."
    ]


def test_a_sustained_run_gives_both_times_and_their_ratio():
    said = " ".join(sustained(full_report()))
    assert f"student_int8 takes 113 {US} from idle and 146 {US} after 60 s" in said
    assert said.endswith("1.29 times as long (1.27 to 1.31).")


def test_bounds_of_a_sustained_run_are_said_to_be_of_its_windows():
    report = full_report()
    report["variants"]["student_int8"]["sustained"]["ratio"]["confidence"] = 1.0
    assert " ".join(sustained(report)).endswith("(1.27 to 1.31 over all windows).")


def test_what_was_only_planned_is_not_said_to_be_measured():
    report = build_report()
    report["settings"]["fps"] = 30.0
    samples = [[0.001], [0.001], [0.001]]
    for fields in report["variants"].values():
        fields["samples_seconds"] = samples
    report["environment"] = [{"process": p, "round": r} for p, n in enumerate((10, 10, 4)) for r in
                             range(n)]  # fmt: skip
    said = " ".join(caption(report))
    assert "3 of 5 fresh processes, 4 to 10 of 10 rounds." in said
    assert "paced" not in said


def test_recommended_settings_come_with_their_reason():
    said = " ".join(all_sentences(full_report()))
    assert "Recommended session settings: teacher 2 threads, not spinning (38 % faster" in said


def test_an_earlier_report_is_named_with_why_its_times_do_not_count():
    report = full_report()
    report["baseline"].update(same_machine=False, reason="the processors differ")
    assert (
        "Against an earlier report: old.json of 2026-02-01, another machine; the processors differ."
        in all_sentences(report)
    )


def test_reports_of_before_have_no_such_findings():
    assert findings(build_report()) == ()
    assert findings(bare_report()) == ()


def test_the_caption_tells_threads_where_they_differ():
    said = " ".join(caption(full_report()))
    assert "ONNX Runtime with 1 thread for teacher, baseline, student, student_int8; OpenVINO" in (
        said
    )
    assert "Also paced at 30 frames a second. Time cap: 300 s." in said
    assert "Latency of one image: 1 thread" not in said


def test_the_caption_tells_why_percentiles_and_intervals_are_missing():
    report = build_report()
    for fields in report["variants"].values():
        fields["latency"]["p50"].update(low=None, high=None, reason="3 processes are too few")
    said = caption(report)
    assert "No p99: p99 needs at least 662 samples, found 450." in said
    assert "No interval of p50: 3 processes are too few." in said


@pytest.mark.parametrize("flag", ["frequency", "stolen", "time_cap", "lost_process"])
def test_every_flag_has_a_sentence(flag):
    said = caption(changed(build_report(), [flag], "flags"))[-1]
    assert flag not in said
    assert said.endswith(".")
