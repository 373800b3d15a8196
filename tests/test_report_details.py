"""The tables beside the one table."""

from compress_bench.report.absent import absences
from compress_bench.report.details import details
from compress_bench.report.module_tables import module_tables, sweep_table, unprofiled
from report_sample import bare_report, build_report, changed, full_report

TO = "\N{EN DASH}"


def tables(report):
    return {detail.key: detail.table for detail in details(report)}


def cell(table, row, column):
    found = next(entry for entry in table.rows if entry.name == row)
    return found.cells[table.columns.index(column)].full


def test_every_subject_has_its_table():
    assert list(tables(full_report())) == [
        "tails",
        "work",
        "answers",
        "memory",
        "start",
        "paced",
        "sustained",
    ]


def test_a_report_of_before_has_the_tables_that_it_has_the_numbers_for():
    assert list(tables(build_report())) == ["tails", "answers", "memory", "start"]
    assert list(tables(bare_report())) == ["tails", "start"]


def test_tables_hold_values_with_intervals():
    found = tables(full_report())
    expected = {
        ("tails", "p99"): f"5.29 ms (4.78{TO}6.48)",
        ("work", "CPU time"): f"3.38 ms (3.36{TO}3.40)",
        ("work", "Energy"): f"47.8 mJ (46.3{TO}49.2)",
        ("work", "MACs"): "40.8 M",
        ("answers", "Calibration error"): f"2.1 % (1.4{TO}3.1)",
        ("memory", "Proportional share"): "40.1 MB",
        ("start", "Until first answer"): f"131 ms (124{TO}147)",
        ("paced", "Deadlines missed"): f"0.0 % (0.0{TO}0.4)",
        ("sustained", "Sustained over burst"): f"1.19\N{MULTIPLICATION SIGN} (1.17{TO}1.21)",
    }
    assert {key: cell(found[key[0]], "teacher", key[1]) for key in expected} == expected


def test_a_missing_percentile_has_its_reason_below_the_table():
    assert (
        "No p99: p99 needs at least 662 samples, found 450."
        in tables(build_report())["tails"].caption
    )


def test_a_reason_of_some_variants_names_them():
    said = tables(full_report())["work"].caption
    assert (
        "No instructions for student@openvino, student_int8@openvino: the kernel does not let "
        "this process count." in said
    )


def test_a_percentile_without_an_interval_has_the_reason():
    report = full_report()
    unlike = {"low": None, "high": None, "reason": "processes are too unlike"}
    report["variants"]["student"]["latency"]["p90"].update(unlike)
    assert "No interval of p90 for student: processes are too unlike." in (
        tables(report)["tails"].caption
    )


def test_the_reason_inside_of_an_estimate_without_a_value_is_found():
    reason = {"value": None, "low": None, "high": None, "reason": "too few frames."}
    report = changed(full_report(), reason, "variants", "teacher", "paced", "p99")
    assert absences(report, "paced p99", "paced", "p99") == (
        "No paced p99 for teacher: too few frames.",
    )


def test_runtimes_are_a_column_only_where_they_differ():
    report = full_report()
    assert cell(tables(report)["work"], "student@openvino", "Runtime") == "OpenVINO, 2 threads"
    for name in ("student@openvino", "student_int8@openvino"):
        del report["variants"][name]
    assert "Runtime" not in tables(report)["work"].columns


def test_an_emulated_machine_has_no_table_of_times():
    report = changed(full_report(), True, "machine", "emulated")
    assert list(tables(report)) == ["work", "answers", "memory"]
    assert tables(report)["work"].columns == ("Runtime", "Instructions", "MACs")
    assert sweep_table(report) is None
    assert module_tables(report) == ()


def test_modules_are_slowest_first_and_islands_have_their_cost():
    names = [name for name, _ in module_tables(full_report())]
    assert names == ["teacher", "student", "student_int8"]
    table = dict(module_tables(full_report()))["student_int8"]
    assert [row.name for row in table.rows][:2] == ["features.0", "features.3"]
    assert cell(table, "features.3", "Kind") == "float, float island"
    assert table.caption[-1].startswith("1 float island takes 28.4 ")
    assert table.caption[-1].endswith(" per inference, 25.1 % of it.")


def test_variants_without_modules_have_the_reason():
    assert unprofiled(full_report()) == (
        "No modules for student@openvino, student_int8@openvino: openvino's profile is not read.",
    )


def test_a_sweep_without_intervals_has_the_reason():
    report = full_report()
    for row in report["sweep"]["rows"]:
        row["p50"].update(low=None, high=None, reason="3 processes are too few")
    assert sweep_table(report).caption == ("Without an interval: 3 processes are too few.",)


def test_the_sweep_marks_the_recommended_setting():
    table = sweep_table(full_report())
    advised = [(row.name, row.detail) for row in table.rows if not row.cells[-1].empty]
    assert advised == [("teacher", "2 threads, not spinning"), ("student_int8", "1 thread")]


def test_the_fastest_and_slowest_of_a_run_are_not_called_an_interval():
    report = full_report()
    for fields in report["variants"].values():
        fields["sustained"]["ratio"]["confidence"] = 1.0
    assert "no intervals" in tables(report)["sustained"].caption[0]
    assert tables(full_report())["sustained"].caption == ()


def test_what_the_brackets_of_a_start_hold_is_said():
    report = full_report()
    assert "the fastest and the slowest process" in tables(report)["start"].caption[0]
    for fields in report["variants"].values():
        fields["cold_start"]["total_seconds"]["confidence"] = 0.95
    assert tables(report)["start"].caption[0].endswith("Brackets hold 95 % intervals.")


def test_a_start_of_few_processes_says_why_it_has_no_interval():
    report = full_report()
    few = {"value": 0.1, "low": None, "high": None, "confidence": 0.95, "reason": "too few"}
    for fields in report["variants"].values():
        fields["cold_start"]["total_seconds"] = few
    assert tables(report)["start"].caption == (
        "Medians over fresh processes.",
        "No interval of time until the first answer: too few.",
    )
