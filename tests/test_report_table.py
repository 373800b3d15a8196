import copy

from compress_bench.report.table import build_table
from report_sample import bare_report, build_report, changed

TO, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def cell(report, variant, column):
    table = build_table(report)
    row = next(row for row in table.rows if row.name == variant)
    titles = [title.split(" against")[0].split(" with")[0] for title in table.columns]
    return row.cells[titles.index(column)].full


def test_rows_go_from_the_teacher_to_the_board():
    names = [row.name for row in build_table(build_report()).rows]
    assert names == ["teacher", "baseline", "student", "student_int8"]


def test_rows_say_network_precision_and_part():
    details = [row.detail for row in build_table(build_report()).rows]
    assert details == [
        "resnet20, float32, reference",
        "lenet5, float32, no teacher",
        "lenet5, float32, distilled",
        "lenet5, int8, distilled",
    ]


def test_a_student_without_a_baseline_is_not_called_distilled():
    report = build_report()
    del report["variants"]["baseline"]
    assert build_table(report).rows[1].detail == "lenet5, float32"


def test_cells_hold_value_and_interval():
    report = build_report()
    expected = {
        "Test accuracy": f"88.8 % (87.3{TO}90.1)",
        "Drop": f"3.1 points (2.0{TO}4.2)",
        "Agreement": f"91.3 % (90.0{TO}92.5)",
        "Parameters": "61,706",
        "File size": "70.9 kB",
        "Speed-up": f"30.2{TIMES} (29.8{TO}30.7)",
        "Memory": "284 kB, peak 41.3 MB",
    }
    assert {key: cell(report, "student_int8", key) for key in expected} == expected


def test_the_reference_has_no_drop_and_no_speedup():
    report = build_report()
    assert cell(report, "teacher", "Drop") == "\N{EM DASH}"
    assert cell(report, "teacher", "Speed-up") == "\N{EM DASH}"


def test_a_speedup_that_cannot_be_resolved_says_so():
    report = changed(build_report(), False, "variants", "student", "speedup", "resolvable")
    assert cell(report, "student", "Speed-up").endswith("not resolvable")


def test_columns_that_nobody_has_a_number_for_are_left_out():
    assert build_table(bare_report()).columns == ("File size", "p50 latency", "Speed-up")


def test_emulated_times_are_not_shown_and_the_caption_says_why():
    table = build_table(changed(build_report(), True, "machine", "emulated"))
    assert not {"p50 latency", "Speed-up"} & set(table.columns)
    assert any("emulated" in sentence for sentence in table.caption)


def test_the_caption_names_the_board_that_was_measured():
    report = changed(build_report(), "ssh://pi@board", "machine", "target")
    assert any("Machine: ssh://pi@board, " in line for line in build_table(report).caption)


def test_the_caption_names_images_confidence_machine_and_resolution():
    caption = " ".join(build_table(build_report()).caption)
    for part in ("2,000 test images of demo", "95 %", "1 thread", "profile standard"):
        assert part in caption
    for part in ("AMD EPYC 7B13", "5 fresh processes, 10 rounds", "below 1.3 %", "Other processes"):
        assert part in caption


def test_a_flag_that_a_note_explains_is_not_said_twice():
    report = changed(build_report(), ["contended: other work ran in 2 of 5"], "notes")
    assert not any("Other processes" in sentence for sentence in build_table(report).caption)


def test_a_control_without_a_resolution_gives_its_reason():
    report = changed(
        build_report(), {"smallest_difference": None, "reason": "one process"}, "resolution"
    )
    assert any(s.endswith("be declared: one process.") for s in build_table(report).caption)


def test_a_report_with_every_field_null_is_still_a_table():
    report = build_report()
    for fields in report["variants"].values():
        fields.update(dict.fromkeys(fields))
    empty = {**dict.fromkeys(report), "variants": report["variants"]}
    assert [row.name for row in build_table(empty).rows] == list(report["variants"])


def test_the_report_is_left_as_it_was():
    report = build_report()
    before = copy.deepcopy(report)
    build_table(report)
    assert report == before
