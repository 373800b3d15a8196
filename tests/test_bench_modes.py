"""Paced frames, sustained runs, counters and the time cap, from the runner to the report."""

from dataclasses import replace

import numpy as np
import pytest

import bench_models
from compress.errors import RunnerLostError, UsageError
from compress.settings import Bench, Run
from compress_bench import noise
from compress_bench.evidence import Counted, Gap, PacedProcess, Sustained
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.fresh import measure_fresh
from compress_bench.measure.latency import measure_latency
from compress_bench.measure.layers import measure_layers
from compress_bench.measure.paced import measure_paced, pace
from compress_bench.measure.sustained import measure_sustained
from compress_bench.metrics import Goal, load_metric
from compress_bench.metrics.deadline_misses import share_missed
from compress_bench.profiles import PROFILES, choose_profile
from compress_bench.recipe import bench
from compress_bench.targets import local
from compress_bench.verdict.goals import parse_goals
from compress_bench.verdict.judging import judge_goals


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


def test_each_frame_is_answered_in_time_or_missed(files):
    found = pace(make_bed(), variant(files[1]), fps=50, index=0)
    assert found.period_seconds == pytest.approx(0.02)
    assert len(found.missed) == 20
    assert found.cpu_seconds > 0
    # A frame that was answered beyond the period was missed, and so was each dropped one.
    late = int((found.seconds > found.period_seconds).sum())
    assert found.missed.sum() == 20 - len(found.seconds) + late


def test_frames_that_come_faster_than_answers_are_dropped_and_missed(files):
    # 0.27 billion multiply-adds in 0.1 ms: no machine's
    found = pace(make_bed(batch_size=256), variant(files[0]), fps=10_000, index=0)
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


def with_frames(answered, dropped, **changes):
    """Five processes of frames that were answered in 40 ms, and of dropped ones."""
    missed = np.array([False] * answered + [True] * dropped)
    process = PacedProcess(
        period_seconds=0.1, seconds=np.full(answered, 0.04), missed=missed, cpu_seconds=0.6
    )
    return replace(bench_models.evidence(), paced={"student": (process,) * 5}, **changes)


def test_a_dropped_frame_is_one_that_never_was_answered():
    evidence = with_frames(answered=15, dropped=5)
    assert estimate(evidence, "frame_latency", "p50").value == pytest.approx(0.04)
    found = estimate(evidence, "frame_latency", "p90")
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.reason.startswith("25 of 100 frames were dropped, so that p90 has no time")


def test_a_percentile_close_to_the_dropped_frames_has_no_upper_bound():
    evidence = with_frames(answered=19, dropped=1)
    whole, torn = evidence.paced["student"][0], with_frames(17, 3).paced["student"][0]
    evidence = replace(evidence, paced={"student": (whole,) * 4 + (torn,)})
    found = estimate(evidence, "frame_latency", "p90")
    assert (found.value, found.low, found.high) == (0.04, 0.04, None)
    assert "7 of 100 frames were dropped" in found.reason


def test_where_no_frame_is_answered_nothing_has_a_value_but_the_misses():
    evidence = with_frames(answered=0, dropped=20)
    assert estimate(evidence, "deadline_misses").value == 1.0
    assert estimate(evidence, "frame_latency", "p50").reason.startswith("100 of 100 frames")
    assert "answered no frame" in estimate(evidence, "frame_cpu").reason


def test_cpu_time_is_that_of_a_frame_that_was_answered():
    # 0.6 s of 15 answers, whatever else was dropped
    assert estimate(with_frames(15, 5), "frame_cpu").value == pytest.approx(0.04)


CUT = Gap(kind="paced", variant="student", flag="time_cap", reason="the time cap left 5 of 7; more")


@pytest.mark.parametrize("metric", ["deadline_misses", "frame_latency.p50", "frame_cpu"])
def test_paced_goals_that_the_time_cap_cut_short_are_not_met(metric):
    limits = parse_goals({"student": {metric: {"max": LIMITS.get(metric, "1 s")}}}, "goals")
    assert judge_goals(limits, with_frames(20, 0))["status"] == "pass"
    cut = with_frames(20, 0, gaps=(CUT,))
    verdict = judge_goals(limits, cut)
    assert verdict["status"] == "inconclusive"
    (goal,) = verdict["goals"]
    assert (goal["low"], goal["high"]) == (None, None)
    assert "the time cap left 5 of 7" in goal["sentence"] and "--time-cap" in goal["remedy"]
    assert noise.flags(cut) == ["time_cap"]


LIMITS = {"deadline_misses": "50 %"}


def test_processes_that_there_was_no_time_to_pace_are_told(files):
    bed = make_bed(clock=Clock(0.0))
    found, (gap,) = measure_paced(bed, [variant(files[1])], 50, lambda _: None)
    assert found == {}
    assert (gap.kind, gap.variant, gap.flag) == ("paced", "small", "time_cap")


def killed(wanted):
    """A target whose every process dies."""
    raise RunnerLostError(f"{wanted['models'][0]['variant']}: killed by SIGKILL")
    yield


@pytest.mark.parametrize("kind", ["paced", "sustained", "layers"])
def test_a_process_that_dies_costs_its_number_and_is_told(kind, files):
    bed, one, quiet = make_bed(target=killed), [variant(files[1])], lambda _: None
    if kind == "paced":
        found, gaps = measure_paced(bed, one, 50, quiet)
    elif kind == "sustained":
        found, gaps = measure_sustained(bed, one, 1.0, quiet)
    else:
        found, gaps, _ = measure_layers(bed, one, quiet)
    assert found == {}
    assert [(gap.kind, gap.variant, gap.flag) for gap in gaps] == [(kind, "small", "lost_process")]
    evidence = replace(bench_models.evidence(), gaps=gaps)
    assert noise.flags(evidence) == ["lost_process"]
    assert "small: killed by SIGKILL" in noise.explain(evidence)[0]


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


def test_bounds_of_a_sustained_part_are_its_fastest_and_its_slowest_window():
    # of 36 windows of a second the burst are the first 6, the last third the last 12
    medians = (0.009, *(0.010,) * 5) + (0.5,) * 18 + (0.012, 0.016) + (0.015,) * 10
    evidence = replace(
        bench_models.evidence(),
        sustained={"student": Sustained(window_seconds=1.0, medians=medians)},
    )
    report = measure("sustained", evidence)["sustained"]
    assert report["burst"] == {"value": 0.010, "low": 0.009, "high": 0.010, "confidence": 1.0}
    assert report["sustained"] == {"value": 0.015, "low": 0.012, "high": 0.016, "confidence": 1.0}
    assert report["ratio"]["low"] == pytest.approx(0.012 / 0.010)
    assert report["ratio"]["high"] == pytest.approx(0.016 / 0.009)


def test_a_slow_files_windows_count_for_the_time_that_they_took():
    medians = (3.0,) * 3 + (4.0,) * 6 + (5.0,) * 3
    found = Sustained(window_seconds=1.0, medians=medians, lengths=medians)
    evidence = replace(bench_models.evidence(), sustained={"student": found})
    report = measure("sustained", evidence)["sustained"]
    # 9 + 24 + 15 = 48 s; the burst ends at 8 s, the last third begins at 32 s
    assert report["seconds"] == pytest.approx(48.0)
    assert report["burst"]["value"] == 3.0
    assert report["sustained"]["value"] == 5.0  # of 4, 5, 5, 5
    assert report["windows_end_seconds"][:4] == [3.0, 6.0, 9.0, 13.0]


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


@pytest.mark.parametrize("metric", ["cold_start", "memory"])
def test_starts_and_memory_of_fewer_than_five_processes_have_no_bounds(metric):
    evidence = bench_models.evidence()
    whole = estimate(evidence, metric)
    assert whole.low <= whole.value <= whole.high and whole.confidence == 0.95
    few = replace(evidence, fresh={"student": evidence.fresh["student"][:3]})
    found = estimate(few, metric)
    assert (found.low, found.high) == (None, None)
    assert found.reason == (
        "an interval takes at least 5 fresh processes, found 3; give --profile standard"
    )


def test_memory_is_the_geometric_mean_with_student_s_t_on_the_logs():
    logs = np.log([1_000_000, 1_010_000, 1_005_000, 1_002_500, 1_007_500])
    half = 2.776445 * logs.std(ddof=1) / 5**0.5
    found = estimate(bench_models.evidence(), "memory")
    assert found.low == pytest.approx(np.exp(logs.mean() - half), rel=1e-6)
    assert found.high == pytest.approx(np.exp(logs.mean() + half), rel=1e-6)


def test_fresh_processes_after_the_first_of_each_stop_at_the_time_cap(files):
    bed = make_bed(clock=Clock(0.0))
    bed = replace(bed, profile=replace(bed.profile, fresh=5))
    found, (gap,) = measure_fresh(bed, [variant(files[1])], lambda _: None)
    assert len(found["small"]) == 1
    assert gap.reason.startswith("the time cap left 1 of 5 processes")


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
        ({"sustained": 0.5}, "--sustained: expected 1 to 86400 seconds"),
        ({"time_cap": 0.0}, "--time-cap: expected above 0"),
        ({"max_increase": -1.0}, "--max-increase: expected a percentage"),
        ({"batch_size": 0}, "--batch-size: expected 1 or more"),
        ({"processes": 0}, "--processes: expected 1 or more"),
    ],
)
def test_numbers_that_cannot_be_measured_with_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        choose_profile(Bench(**changes))
