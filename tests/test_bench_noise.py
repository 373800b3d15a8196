"""What disturbed a measurement: noticed, flagged, and told with its numbers."""

from dataclasses import replace

import pytest

import bench_models
from compress_bench import noise
from compress_bench.evidence import Gap


def measured(*, threads=1, capped=False, rounds=10, **changes):
    """Measurements on two cores; something happened to the second of five processes."""
    evidence = bench_models.evidence()
    first, second, *others = evidence.latency
    cut = [replace(p, rounds=p.rounds[:rounds]) for p in (first, replace(second, **changes))]
    variants = {name: replace(v, threads=threads) for name, v in evidence.variants.items()}
    latency = (*cut, *others)
    return replace(evidence, latency=latency, variants=variants, capped=capped, cores=2)


@pytest.mark.parametrize(
    ("changes", "threads", "expected"),
    [
        ({}, 1, []),
        ({"wall_over_cpu": 2.0}, 1, ["contended"]),
        ({"wall_over_cpu": 2.0}, 2, []),  # says nothing where threads wait for each other
        ({"switches_per_second": 300.0}, 1, ["contended"]),
        ({"switches_per_second": 9000.0}, 2, []),  # nor where they take cores from each other
        ({"others": 1.0}, 1, []),  # the other core's business
        ({"others": 1.0}, 2, ["contended"]),
        ({"stolen": 0.05}, 1, ["stolen"]),
        ({"throttled": True}, 1, ["throttled"]),
        ({"states": ({"khz": 2.0e6}, {"khz": 2.09e6})}, 1, []),
        ({"states": ({"khz": 2.0e6}, {"khz": 2.11e6})}, 1, ["frequency"]),
        ({"states": ({"khz": None}, {"khz": 2.11e6})}, 1, []),
        ({"unsteady": ("teacher",)}, 1, ["not_steady"]),
        ({"lost": True}, 1, ["lost_process"]),
    ],
)
def test_disturbances_are_flagged_and_explained(changes, threads, expected):
    evidence = measured(threads=threads, **changes)
    assert noise.flags(evidence) == expected
    assert [sentence.split(":")[0] for sentence in noise.explain(evidence)] == expected


def test_a_clock_that_differs_between_processes_is_noticed():
    evidence = measured(states=({"khz": 1.5e6},))
    others = [replace(p, states=({"khz": 2.4e6},)) for p in evidence.latency[2:]]
    (found,) = noise.explain(replace(evidence, latency=(*evidence.latency[:2], *others)))
    assert found.startswith("frequency: the clock ran at 1.50 to 2.40 GHz")


def test_a_time_cap_tells_the_rounds_that_were_left():
    (found,) = noise.explain(measured(capped=True, rounds=3))
    assert found.startswith("time_cap: the time cap left 36 of 50 rounds")


def gap(kind, flag="time_cap", reason="the time cap left no time for it; give more"):
    return Gap(kind=kind, variant="student", flag=flag, reason=reason)


def test_what_the_time_cap_left_out_beside_latency_is_told_and_cuts_only_that_short():
    evidence = replace(measured(), gaps=(gap("paced"), gap("layers")))
    (found,) = noise.explain(evidence)
    assert found.startswith(
        "time_cap: the time cap cut short or left out paced frames of student, layer times of"
    )
    assert noise.cut_short(evidence, "paced", "student") == "the time cap left no time for it"
    assert noise.cut_short(evidence, "paced", "teacher") == ""
    assert noise.cut_short(evidence) == noise.cut_short(evidence, "fresh", "student") == ""


def test_a_process_that_died_beside_latency_is_told_with_what_killed_it():
    (found,) = noise.explain(replace(measured(), gaps=(gap("sustained", "lost_process", "why"),)))
    assert found == "lost_process: sustained windows of student are missing: why"


def test_a_lost_process_tells_the_rounds_that_were_kept():
    (found,) = noise.explain(measured(lost=True, rounds=4))
    assert found == "lost_process: 1 of 5 processes died; 4 of their rounds are kept"


def test_throttling_tells_how_hot_it_was():
    states = ({"celsius": 71.0}, {"celsius": 84.6})
    (found,) = noise.explain(measured(throttled=True, states=states))
    assert "in 1 of 5 processes at up to 85 °C" in found


@pytest.mark.parametrize(
    ("governor", "noted"), [(None, 0), ("", 0), ("performance", 0), ("ondemand", 1)]
)
def test_a_governor_that_follows_the_load_is_noted_but_not_flagged(governor, noted):
    evidence = measured()
    assert len(noise.explain(evidence, governor)) == noted
    assert noise.flags(evidence) == []


def test_outliers_stay_among_the_samples():
    evidence = measured(wall_over_cpu=2.0)
    assert [len(samples) for samples in evidence.samples("student")] == [50] * 5
