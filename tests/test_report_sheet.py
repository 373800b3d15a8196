"""Reports as CSV."""

import csv
import io
import json
import sys

from compress.cli import main
from compress_bench.report import write_comparison
from compress_bench.report.sheet import comparison_csv, report_csv
from report_sample import bare_report, build_report, changed, full_report


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_per_variant_with_json_paths_as_columns():
    found = {row["variant"]: row for row in rows(report_csv(full_report()))}
    row = found["student_int8"]
    assert len(found) == 6
    assert float(row["latency.p50.value"]) == 0.000113
    assert float(row["latency.p50.low"]) == 0.000113 * 0.991
    assert row["size_bytes"] == "70884"
    assert row["speedup.verdict"] == "faster"
    assert row["machine.cpu"] == "AMD EPYC 7B13"
    assert row["machine.isa"] == "avx2; avx512f; avx512_vnni"
    assert row["settings.spinning"] == "false"


def test_a_null_beside_estimates_adds_no_column():
    found = rows(report_csv(full_report()))
    assert "speedup" not in found[0]
    assert found[0]["speedup.value"] == ""


def test_raw_samples_and_class_names_stay_in_the_json():
    columns = set(rows(report_csv(full_report()))[0])
    assert not {"samples_seconds", "confusion", "data.classes", "layers.rows"} & columns


def test_an_emulated_machine_has_no_column_of_a_time():
    found = rows(report_csv(changed(full_report(), True, "machine", "emulated")))
    assert not [column for column in found[0] if column.startswith(("latency", "paced", "cpu"))]
    assert found[0]["size_bytes"] == "1101204"


def test_reports_of_before_are_rows_too():
    assert [row["variant"] for row in rows(report_csv(bare_report()))] == ["large", "small"]
    assert rows(report_csv({"variants": {}})) == []


def test_a_name_with_a_comma_stays_one_cell():
    report = changed(build_report(), 'ACME "4, quick"', "machine", "cpu")
    assert rows(report_csv(report))[0]["machine.cpu"] == 'ACME "4, quick"'


def test_a_comparison_has_a_row_per_report_and_variant():
    found = rows(comparison_csv([build_report(), bare_report()]))
    assert [(row["report"], row["variant"]) for row in found] == [
        ("1", "teacher"),
        ("1", "baseline"),
        ("1", "student"),
        ("1", "student_int8"),
        ("2", "large"),
        ("2", "small"),
    ]


def test_compress_report_writes_all_three_and_names_them(tmp_path, capsys):
    paths = []
    for name, report in (("a", build_report()), ("b", bare_report())):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(report))
    out = tmp_path / "out"
    assert main(["report", *map(str, paths), "-o", str(out)]) == 0
    names = ["comparison.csv", "comparison.html", "comparison.md"]
    assert sorted(path.name for path in out.iterdir()) == names
    said = capsys.readouterr().out
    assert "not subtracted" in said
    assert all(str(out / name) in said for name in names)


def test_a_comparison_without_matplotlib_says_how_to_get_its_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    report = tmp_path / "a.json"
    report.write_text(json.dumps(build_report()))
    assert main(["report", str(report), str(report), "-o", str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out/comparison.html").exists()
    assert (tmp_path / "out/comparison.csv").exists()
    assert "edge-compress[report]" in capsys.readouterr().err


def test_a_comparison_is_three_files(tmp_path):
    found = write_comparison([build_report(), bare_report()], tmp_path)
    assert [path.name for path in found] == ["comparison.md", "comparison.csv", "comparison.html"]
    assert all(path.stat().st_size > 1000 for path in found)
