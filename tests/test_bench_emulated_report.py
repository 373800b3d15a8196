"""Reports of emulated cores: everything but time, and what the gate and the goals make of that."""

import copy
import csv
import io
import json
import platform
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import bench_models
from compress.errors import BenchError, UsageError
from compress.flags import Output
from compress.settings import Bench, Run
from compress.show import finish_report
from compress_bench import noise
from compress_bench.evidence import Counted
from compress_bench.measure.emulated import untimed
from compress_bench.metrics import load_metric, metric_names
from compress_bench.profiles import choose_profile
from compress_bench.recipe import bench
from compress_bench.regression.gate import check_baseline, gate, read_baseline
from compress_bench.report import (
    render_comparison_markdown,
    render_html,
    render_markdown,
    render_terminal,
    write_report,
)
from compress_bench.report.portability import core_views
from compress_bench.report.sheet import report_csv
from compress_bench.verdict.goals import parse_goals
from compress_bench.verdict.judging import judge_goals
from emulated_sample import core_check, emulated_report
from needs import needs_program
from report_sample import build_report

REASON = untimed("cortex-a72")
BOARD = "give --target ssh://user@host to measure on a board"
TIMED = ("latency", "throughput", "speedup", "cpu", "cold_start", "paced", "sustained", "layers")


def played():
    """What is known of an emulated core: answers and instructions, and nothing that takes time."""
    evidence = bench_models.evidence()
    counted = {
        name: Counted(instructions=(value,), source="qemu plugin", energy_reason=REASON)
        for name, value in {"teacher": 4e6, "student": 1e6}.items()
    }
    return replace(evidence, latency=(), fresh={}, planned=(0, 0), counted=counted, untimed=REASON)


def fields(variant):
    found = {}
    for name in metric_names():
        found |= load_metric(name).measure(played(), variant)
    return found


def judged(limits):
    return judge_goals(parse_goals({"student": limits}, "goals.toml"), played())


# ------------------------------------------------------------------------------ metrics, verdict


@pytest.mark.parametrize("name", [*TIMED, "memory", "energy"])
def test_what_takes_time_is_null_with_the_reason(name):
    found = fields("student")
    assert found[name] is None
    assert found[f"{name}_reason"] == REASON


def test_answers_size_and_instructions_are_as_everywhere():
    found = fields("student")
    assert found["accuracy"]["value"] == 0.98  # two of a hundred are wrong
    assert found["size_bytes"] == 100_000
    assert found["instructions"]["value"] == found["instructions"]["high"] == 1e6
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("metric", "limit"),
    [
        ("latency.p50", {"max": "5 ms"}),
        ("speedup.p50", {"min": 3, "vs": "teacher"}),
        ("throughput", {"min": 100}),
        ("cpu", {"max": "5 ms"}),
        ("memory", {"max": "5 MB"}),
        ("cold_start", {"max": "1 s"}),
        ("energy", {"max": "1 mJ"}),
        ("deadline_misses", {"max": "1 %"}),
        ("sustained", {"max": "5 ms"}),
    ],
)
def test_a_goal_on_time_is_inconclusive_and_says_where_it_can_be_decided(metric, limit):
    (goal,) = judged({metric: limit})["goals"]
    assert goal["status"] == "inconclusive" and goal["value"] is None
    assert "emulated" in goal["sentence"]
    assert goal["remedy"] == BOARD


def test_goals_that_take_no_time_are_decided():
    limits = {"instructions": {"max": "2 M"}, "size": {"max": "200 kB"}}
    assert judged(limits)["status"] == "pass"


def test_instructions_beyond_their_limit_have_a_remedy_without_times():
    (goal,) = judged({"instructions": {"max": "500 k"}})["goals"]
    assert goal["status"] == "fail"
    assert "2x too much" in goal["remedy"] and " ms" not in goal["remedy"]


def test_nothing_disturbs_what_is_not_timed():
    assert noise.flags(played()) == []
    assert played().resolution.to_dict()["reason"] == REASON


# ------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "flags",
    [
        {"fps": 30.0},
        {"sustained": 10.0},
        {"sweep": True},
        {"processes": 3},
        {"instructions": "perf"},
        {"instructions": "valgrind"},
        {"runtime": ("openvino",)},
    ],
)
def test_flags_that_ask_for_times_are_refused(flags):
    name = next(iter(flags)).replace("_", "-")
    with pytest.raises(UsageError, match=f"--{name}.* emulate:cortex-a72"):
        choose_profile(Bench(target="emulate:cortex-a72", **flags))
    choose_profile(Bench(**flags))  # as ever on a real machine


# ----------------------------------------------------------------------------------------- gate


def counted(value, **machine):
    """A report of an emulated core whose student takes so many instructions."""
    report = emulated_report()
    report["machine"].update(machine)
    report["variants"]["student"]["instructions"] = dict.fromkeys(
        ("value", "low", "high"), value
    ) | {"confidence": 1.0}
    return report


def instructions_goal(new, old):
    found = gate(new, old, "old.json", 0.5)
    (goal,) = (
        goal
        for goal in found["verdict"]["goals"]
        if (goal["variant"], goal["metric"]) == ("student", "instructions")
    )
    return goal


@pytest.mark.parametrize(("now", "status"), [(1_004_999, "pass"), (1_005_001, "fail")])
def test_instructions_of_one_core_type_may_grow_by_half_a_percent(now, status):
    assert instructions_goal(counted(now), counted(1_000_000))["status"] == status


def test_an_emulated_core_is_the_same_on_any_host():
    new = counted(1_000_000, cores=16, memory_bytes=None, kernel="6.12")
    assert gate(new, counted(1_000_000), "old.json", 0.5)["baseline"]["same_machine"] is True
    assert instructions_goal(new, counted(1_000_000))["status"] == "pass"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("emulates", "cortex-a76"),
        ("emulator", "qemu 10.0"),
        ("onnxruntime", "1.22.0"),
        ("python", "3.13.1"),
    ],
)
def test_instructions_that_another_core_or_runtime_took_are_not_compared(field, value):
    goal = instructions_goal(counted(1_000_000, **{field: value}), counted(1_000_000))
    assert goal["status"] == "inconclusive"
    assert f"{field} {value}, baseline" in goal["sentence"]


def test_a_board_is_not_compared_with_an_emulated_core():
    found = gate(counted(1_000_000), build_report(), "old.json", 0.5)
    assert found["verdict"]["status"] == "inconclusive"
    assert found["baseline"]["same_machine"] is False


def test_an_emulated_report_can_be_a_baseline(tmp_path):
    write_report(emulated_report(), tmp_path)
    found = gate(emulated_report(), read_baseline(tmp_path), "old.json", 0.5)
    assert {goal["metric"] for goal in found["verdict"]["goals"]} == {"size", "instructions"}
    assert found["verdict"]["status"] == "pass"


def test_a_baseline_of_an_emulated_core_without_instructions_is_refused():
    old = emulated_report()
    for fields in old["variants"].values():
        fields["instructions"] = None
    with pytest.raises(UsageError, match="expected instructions in a report of an emulated core"):
        check_baseline(old, Path("old.json"), ["student"])


# ---------------------------------------------------------------------------------------- views


def views(report):
    """The report as each view shows it."""
    file = io.StringIO()
    render_terminal(report, Console(file=file, width=200))
    return {
        "terminal": file.getvalue(),
        "markdown": render_markdown(report),
        "page": render_html(report),
    }


@pytest.mark.parametrize("view", ["terminal", "markdown", "page"])
def test_views_call_instructions_an_estimate_and_show_no_time(view):
    shown = views(emulated_report())[view]
    assert "an estimate of the work on cortex-a72, not a time" in shown
    assert "Check on cortex-a72, emulated" in shown
    assert "p50 latency" not in shown and "Speed-up" not in shown


def test_the_page_sets_instructions_in_place_of_speed():
    page = render_html(emulated_report())
    # 94.1 M by 0.91 M
    assert "103\N{MULTIPLICATION SIGN}" in page and "fewer instructions than teacher" in page


def test_a_row_of_a_check_says_how_near_the_answers_are_and_what_is_left_in_float():
    (view,) = core_views(emulated_report())
    rows = {row.name: [cell.full for cell in row.cells] for row in view.table.rows}
    assert view.table.columns[1:4] == ("Output difference", "Same class", "Integer operators")
    assert rows["student_int8"] == [
        "pass",
        "1 step, 100.0 % within 1 step",
        "100.0 %, of 40",
        "6 of 7, float: 1 Softmax",
        "910 k, estimate",
    ]
    assert rows["teacher"][1] == "0.0002 % of the range"  # 3.2e-5 of 16
    assert rows["teacher"][3] == "\N{EM DASH}"  # a float file has no integers to count


def test_a_failed_check_says_of_which_file_and_why_in_every_view():
    report = emulated_report()
    report["portability"] = [core_check("haswell") | {"status": "fail"}]
    student = report["portability"][0]["variants"]["student_int8"]
    student.update(status="fail", problems=["values differ by up to 36 output steps"])
    for shown in views(report).values():
        assert "student_int8: values differ by up to 36 output steps." in shown


def test_a_core_that_could_not_be_checked_says_which_package_is_missing():
    report = emulated_report()
    skipped = core_check() | {"status": "skipped", "reason": "install qemu-user", "variants": {}}
    report["portability"] = [skipped]
    (view,) = core_views(report)
    assert (view.status, view.table, view.said) == ("skipped", None, ("install qemu-user.",))
    assert all("install qemu-user" in shown for shown in views(report).values())


def test_a_board_that_checked_itself_shows_its_times_and_its_check():
    own = core_check("Cortex-A76 (Raspberry Pi 5)") | {"emulated": False}
    shown = views(build_report() | {"portability": [own]})["markdown"]
    assert "Check on Cortex-A76 (Raspberry Pi 5): PASS" in shown
    assert "p50 latency" in shown and "estimate" not in shown


def test_the_sheet_has_a_column_of_each_figure_of_a_check():
    rows = {
        row["variant"]: row for row in csv.DictReader(io.StringIO(report_csv(emulated_report())))
    }
    assert rows["student_int8"]["portability.1.core"] == "cortex-a72"
    assert rows["student_int8"]["portability.1.variant.parity.max_steps"] == "1.0"
    assert rows["teacher"]["portability.1.variant.coverage.float_operators"] == (
        "2 Conv; 3 Gemm; 2 MaxPool"
    )
    assert not any("latency" in column for column in rows["teacher"])


def test_two_cores_stand_side_by_side_with_their_instructions():
    other = copy.deepcopy(emulated_report())
    other["machine"].update(emulates="cortex-a76", target="emulate:cortex-a76")
    other["portability"] = [core_check("cortex-a76")]
    shown = render_comparison_markdown([emulated_report(), other])
    assert "cortex-a72, emulated | cortex-a76, emulated" in shown
    assert "Instructions of an emulated core are an estimate of work, not a time." in shown
    assert "pass, 1 step" in shown


def test_a_failed_check_fails_the_command_whatever_the_goals_say(tmp_path, capsys):
    report = emulated_report()
    report["portability"] = [core_check("haswell") | {"status": "fail"}]
    with pytest.raises(BenchError, match="the check on haswell failed"):
        finish_report(report, tmp_path, Output())
    assert (tmp_path / "report.json").exists()
    assert "Check on haswell" in capsys.readouterr().out


# -------------------------------------------------------------------------------------- the core


@pytest.fixture(scope="module")
def haswell(tmp_path_factory):
    """A bundle on a core that this machine's own Python can be played on."""
    bundle = bench_models.write_bundle(tmp_path_factory.mktemp("emulated") / "bundle")
    content = json.loads((bundle / "bundle.json").read_text())
    content["advice"] = [
        "int8 is slower than float32 on this machine (3.00 ms float32, 4.00 ms int8, 0.75x "
        "(0.70 to 0.80) as fast, 1 thread): its smaller size is its only gain here",
        "1 float island takes 20 % of int8's time: Erf in act (0.12 ms, 20 %)",
    ]
    (bundle / "bundle.json").write_text(json.dumps(content))
    return bench(
        [bundle],
        settings=Bench(target="emulate:haswell", profile="quick", time_cap=30.0),
        run=Run(),
        goals={"student": {"latency.p50": {"max": "1 s"}, "accuracy": {"min": "80 %"}}},
    )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="plays its own architecture")
@needs_program("qemu-x86_64", package="qemu-user")
def test_bench_of_an_emulated_core_has_everything_but_time(haswell):
    assert json.loads(json.dumps(haswell, allow_nan=False)) == haswell
    machine = haswell["machine"]
    assert (machine["emulates"], machine["target"]) == ("haswell", "emulate:haswell")
    assert machine["emulator"].startswith("qemu ") and machine["emulated"] is True
    assert (haswell["settings"]["profile"], haswell["settings"]["time_cap_seconds"]) == (None, 30)
    assert any(note.startswith("--profile quick made no difference") for note in haswell["notes"])
    student = haswell["variants"]["student"]
    assert student["latency"] is None and student["latency_reason"] == untimed("haswell")
    assert student["accuracy"]["value"] == 1.0
    assert student["macs"] == 36 * 3  # one matrix product
    (check,) = haswell["portability"]
    assert (check["core"], check["status"]) == ("haswell", "pass")
    assert check["variants"]["student"]["parity"]["agreement"] == 1.0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="plays its own architecture")
@needs_program("qemu-x86_64", package="qemu-user")
def test_what_export_advised_stands_there_without_its_times(haswell):
    said = [note.partition(" UTC: ")[2] for note in haswell["notes"] if "export said" in note]
    assert said == [
        "int8 is slower than float32 on the machine that exported: its smaller size is its only "
        "gain here",
        "1 float island takes 20 % of int8's time on the machine that exported: Erf in act (20 %)",
    ]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="plays its own architecture")
@needs_program("qemu-x86_64", package="qemu-user")
def test_goals_of_an_emulated_core_are_decided_but_for_those_on_time(haswell):
    statuses = {goal["metric"]: goal["status"] for goal in haswell["verdict"]["goals"]}
    assert statuses == {"latency.p50": "inconclusive", "accuracy": "pass"}
    assert "Check on haswell, emulated: PASS" in render_markdown(haswell)
