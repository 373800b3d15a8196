"""Paced frames, sustained runs, counters and the time cap, from the runner to the report."""

from dataclasses import replace

import numpy as np
import pytest

import bench_models
from compress.errors import UsageError
from compress.settings import Bench, Run
from compress_bench.evidence import Counted, PacedProcess, Sustained
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.latency import measure_latency
from compress_bench.measure.paced import pace
from compress_bench.metrics import Goal, load_metric
from compress_bench.metrics.deadline_misses import share_missed
from compress_bench.profiles import PROFILES, choose_profile
from compress_bench.recipe import bench
from compress_bench.targets import local


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modes")
    return [
        bench_models.write_model(folder / "large.onnx", extra=1024),
        bench_models.write_model(folder / "small.onnx"),
    ]


def make_bed(**changes):
    profile = replace(PROFILES["quick"], frames=20)
    fields = {"target": local.stream, "threads": 1, "batch_size": 1, "seed": 0}
    return Bed(**(fields | {"profile": profile, "clock": Clock(60.0)} | changes))


def variant(path):
    return replace(bench_models.variant(path.stem), path=path)


def measure(metric, evidence, name="student"):
    return load_metric(metric).measure(evidence, name)


def estimate(evidence, metric, detail=""):
    goal = Goal(variant="student", metric=metric, detail=detail, bound="max", limit=1, written="1")
    return load_metric(metric).estimate(evidence, goal)


# ---------------------------------------------------------------------------------------- paced


def test_a_camera_that_is_slow_enough_gets_every_answer_in_time(files):
    found = pace(make_bed(), variant(files[1]), fps=50, index=0)
    assert found.period_seconds == pytest.approx(0.02)
    assert len(found.missed) == 20
    assert found.cpu_seconds > 0
    assert len(found.seconds) + found.missed.sum() >= 20


def test_frames_that_come_faster_than_answers_are_dropped_and_missed(files):
    found = pace(make_bed(), variant(files[0]), fps=10_000, index=0)
    assert found.missed.any()
    assert len(found.seconds) < 20  # a frame that the next one overtook has no time


def test_misses_are_all_frames_that_were_late_or_dropped():
    shares = [np.array([True] * k + [False] * (100 - k)) for k in (2, 3, 2, 3, 2)]
    found = share_missed(shares)
    assert found.value == pytest.approx(12 / 500)
    # Wilson's interval of 12 in 500 is the wider one here: 0.013781 to 0.041477
    assert (found.low, found.high) == pytest.approx((0.013781, 0.041477), abs=2e-6)


def test_misses_in_bursts_widen_the_interval():
    shares = [np.array([True] * k + [False] * (100 - k)) for k in (0, 0, 0, 0, 60)]
    found = share_missed(shares)
    # 12 % and Student's t with 4 degrees: 0.12 + 2.776 x 0.26833 / sqrt 5
    assert found.high == pytest.approx(0.12 + 2.7764 * 0.268328 / 5**0.5, abs=1e-4)
    assert found.low == 0.0


def test_misses_of_too_few_processes_have_no_interval():
    found = share_missed([np.array([False] * 30)])
    assert (found.value, found.low, found.high) == (0.0, None, None)
    assert found.reason


def paced_evidence():
    """Five processes of 20 frames at 10 fps: answers in 40 ms, one of 150 ms each."""
    seconds = np.array([0.04] * 19 + [0.15])
    process = PacedProcess(
        period_seconds=0.1, seconds=seconds, missed=seconds > 0.1, cpu_seconds=0.4
    )
    return replace(bench_models.evidence(), paced={"student": (process,) * 5})


def test_the_report_of_paced_frames_holds_misses_times_and_cpu():
    found = measure("deadline_misses", paced_evidence())["paced"]
    assert (found["fps"], found["frames"]) == (pytest.approx(10), 100)
    assert found["missed"]["value"] == pytest.approx(0.05)
    assert found["p50"]["value"] == pytest.approx(0.04)
    assert found["cpu_seconds_per_frame"]["value"] == pytest.approx(0.02)
    assert found["p99"] is None and "at least 662" in found["p99_reason"]


def test_goals_can_ask_for_misses_frame_times_and_frame_cpu():
    evidence = paced_evidence()
    assert estimate(evidence, "deadline_misses").value == pytest.approx(0.05)
    assert estimate(evidence, "frame_latency", "p90").value == pytest.approx(0.04)
    assert estimate(evidence, "frame_cpu").value == pytest.approx(0.02)


@pytest.mark.parametrize("metric", ["deadline_misses", "frame_latency", "frame_cpu"])
def test_without_fps_paced_goals_are_missing_and_name_the_flag(metric):
    assert "--fps" in estimate(bench_models.evidence(), metric, "p50").reason


# ------------------------------------------------------------------------------------ sustained


def test_a_board_that_grows_hot_is_slower_in_the_last_third():
    medians = (0.010,) * 20 + (0.015,) * 40
    found = Sustained(window_seconds=1.0, medians=medians, celsius=(50.0, 80.0))
    evidence = replace(bench_models.evidence(), sustained={"student": found})
    report = measure("sustained", evidence)["sustained"]
    assert report["burst"]["value"] == pytest.approx(0.010)
    assert report["sustained"]["value"] == pytest.approx(0.015)
    assert report["ratio"]["value"] == pytest.approx(1.5)
    assert report["seconds"] == pytest.approx(60.0)
    assert estimate(evidence, "sustained").value == pytest.approx(0.015)


def test_the_ratio_of_sustained_to_burst_is_bounded_by_both_intervals():
    medians = tuple(np.linspace(0.010, 0.011, 12)) + tuple(np.linspace(0.02, 0.022, 60))
    found = Sustained(window_seconds=1.0, medians=medians)
    evidence = replace(bench_models.evidence(), sustained={"student": found})
    report = measure("sustained", evidence)["sustained"]
    expected = report["sustained"]["low"] / report["burst"]["high"]
    assert report["ratio"]["low"] == pytest.approx(expected)


def test_without_a_sustained_run_the_report_says_which_flag_brings_one():
    found = measure("sustained", bench_models.evidence())
    assert found["sustained"] is None
    assert "--sustained" in found["sustained_reason"]


# ------------------------------------------------------------------------------------- counters


def test_cpu_time_is_that_of_one_inference_in_each_process():
    found = measure("cpu", bench_models.evidence())["cpu"]
    assert found["seconds_per_inference"]["value"] == pytest.approx(1e-3, rel=1e-3)


def test_instructions_and_energy_are_null_with_a_reason_where_nothing_counts_them():
    counted = {"student": Counted(reason="no counter", energy_reason="no meter")}
    evidence = replace(bench_models.evidence(), counted=counted)
    assert measure("instructions", evidence) == {
        "instructions": None,
        "instructions_reason": "no counter",
    }
    assert measure("energy", evidence) == {"energy": None, "energy_reason": "no meter"}


def test_counted_instructions_and_joules_are_reported_with_their_source():
    counted = Counted(
        instructions=(1000.0, 1001.0, 999.0, 1000.0, 1000.0),
        source="perf_event",
        joules=(0.002,) * 5,
        energy_source="intel-rapl:0",
    )
    evidence = replace(bench_models.evidence(), counted={"student": counted})
    found = measure("instructions", evidence)
    assert found["instructions"]["value"] == pytest.approx(1000.0, rel=1e-6)
    assert found["instructions_source"] == "perf_event"
    energy = measure("energy", evidence)["energy"]
    assert (energy["joules_per_inference"]["value"], energy["source"]) == (
        pytest.approx(0.002),
        "intel-rapl:0",
    )


def test_a_cold_start_is_the_sum_of_its_phases():
    found = measure("cold_start", bench_models.evidence())["cold_start"]
    # python 0.03, numpy 0.06, runtime 0.04, session 0.02, first 0.002
    assert found["total_seconds"]["value"] == pytest.approx(0.152)
    assert found["import_seconds"] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------- time cap


def test_a_time_cap_shortens_blocks_then_rounds_and_says_so(files):
    bed = make_bed(clock=Clock(0.01))
    found = measure_latency(bed, [variant(files[0])], "large", lambda _: None)
    assert found.capped
    assert len(found.processes) == 1  # one at least, so that there is a number to show
    assert len(found.processes[0].rounds) >= 1


def test_what_the_time_cap_cut_is_inconclusive_and_never_met(files):
    report = bench(
        [files[1]],
        settings=Bench(profile="quick", time_cap=0.5, layers=False),
        run=Run(),
        goals={"small": {"latency.p50": {"max": "10 s"}}},
    )
    assert report["verdict"]["status"] == "inconclusive"
    assert "time_cap" in report["flags"]
    assert "time cap" in report["verdict"]["goals"][0]["sentence"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fps": 0.0}, "--fps: expected above 0"),
        ({"sustained": -1.0}, "--sustained: expected above 0"),
        ({"time_cap": 0.0}, "--time-cap: expected above 0"),
        ({"max_increase": -1.0}, "--max-increase: expected a percentage"),
        ({"batch_size": 0}, "--batch-size: expected 1 or more"),
        ({"processes": 0}, "--processes: expected 1 or more"),
    ],
)
def test_numbers_that_cannot_be_measured_with_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        choose_profile(Bench(**changes))
