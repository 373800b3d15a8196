"""Threads and spin-waiting: what is tried, what is recommended and why, and where it is kept."""

import json
from dataclasses import replace

import pytest

import bench_models
from compress.errors import RunnerLostError
from compress.settings import Bench, Run
from compress.stage import open_stage
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.sweep import measure_sweep, seconds_needed, settings_to_try
from compress_bench.predict import _open
from compress_bench.profiles import PROFILES
from compress_bench.recipe import bench
from compress_bench.statistics import Estimate
from compress_bench.subjects.bundle import verify_bundle
from compress_bench.subjects.sessions import settle
from compress_bench.sweep import Row, choose, keep_settings
from compress_bench.targets import local

MACHINE = {"machine": "aarch64", "cpu": "Cortex-A76", "cores": 4, "onnxruntime": "1.31.1"}
TWO_SPINNING = {"intra_op_num_threads": 2, "session.intra_op.allow_spinning": "1"}


def ms(value, half=0.01):
    """An interval of so many ms on each side."""
    return Estimate(value * 1e-3, (value - half) * 1e-3, (value + half) * 1e-3)


def row(threads, p50, cpu, *, spinning=False, half=0.01, frame=None, missed=None):
    return Row(
        variant="student",
        runtime="onnxruntime",
        threads=threads,
        spinning=spinning,
        p50=ms(p50, half),
        cpu=ms(cpu),
        frame_cpu=None if frame is None else ms(frame),
        missed=None if missed is None else Estimate(missed, missed, missed),
    )


def chosen(*rows):
    found = choose(rows)
    return (found.row.threads, found.row.spinning), found.reason


# ------------------------------------------------------------------------------- what is tried


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(1, "0")]),
        (2, [(1, "0"), (2, "0"), (2, "1")]),
        (3, [(1, "0"), (3, "0"), (3, "1")]),
        (4, [(1, "0"), (2, "0"), (2, "1"), (4, "0"), (4, "1")]),
    ],
)
def test_one_thread_half_the_cores_and_all_are_tried_and_one_spins_for_nobody(cores, expected):
    tried = settings_to_try(bench_models.variant("student"), cores)
    found = [
        (s.variant.threads, s.variant.session["session.intra_op.allow_spinning"]) for s in tried
    ]
    assert found == expected


def test_of_openvino_only_threads_are_tried():
    variant = replace(bench_models.variant("student@openvino"), runtime="openvino")
    tried = settings_to_try(variant, 4)
    assert [(s.variant.threads, s.spinning) for s in tried] == [(1, False), (2, False), (4, False)]
    assert all(s.variant.session == {} for s in tried)


def test_a_sweep_that_the_time_cap_cuts_names_the_cap_that_would_do(tmp_path):
    settings = Bench(
        profile="quick", processes=1, sweep=True, layers=False, instructions="off", time_cap=0.1
    )
    path = bench_models.write_model(tmp_path / "small.onnx")
    found = bench([path], settings=settings, run=Run())
    assert found["sweep"]["recommended"] == {}
    (note,) = (note for note in found["notes"] if "the sweep" in note)
    assert int(note.rpartition("give --time-cap ")[2]) >= 10


def test_a_setting_that_kills_its_process_is_left_out_and_told(tmp_path):
    def target(wanted):
        (model,) = wanted["models"]
        if model["threads"] == 1:
            raise RunnerLostError("small: killed by SIGKILL")
        yield from local.stream(wanted)

    small = replace(
        bench_models.variant("small"), path=bench_models.write_model(tmp_path / "small.onnx")
    )
    profile = replace(PROFILES["quick"], processes=1, rounds=1, warm_up_seconds=0.01)
    bed = Bed(target=target, threads=1, batch_size=1, seed=0, profile=profile, clock=Clock(60.0))
    found, cut, (note,) = measure_sweep(bed, [small], 2, None, lambda _: None)
    assert [(s.variant.threads, s.spinning) for s in found] == [(2, False), (2, True)]
    assert not cut
    assert note == "the sweep left out small on 1 thread: small: killed by SIGKILL"


def test_the_cap_of_a_sweep_is_what_was_spent_and_twice_its_processes():
    profile = replace(PROFILES["quick"], processes=3)  # 4 rounds of 5 ms, warm-up 0.2 s
    bed = Bed(
        target=local.stream, threads=1, batch_size=1, seed=0, profile=profile, clock=Clock(1.0)
    )
    evidence = replace(bench_models.evidence(), cores=1)
    student = replace(evidence, variants={"student": evidence.variants["student"]})
    # A start takes 0.152 s, an inference 1.25 ms; spinning threads rest for 50 ms after a block.
    process = 0.152 + 0.2 + 4 * (5 * 1.25e-3 + 1.25e-3 + 0.05)
    found = seconds_needed(bed, student, None, 7.0)
    assert found == pytest.approx(7.0 + 2 * 3 * process, rel=1e-3)


# ------------------------------------------------------------------------- what is recommended


def test_the_fastest_is_recommended_where_its_interval_stands_apart():
    setting, reason = chosen(row(1, 2.0, 2.0), row(2, 1.2, 2.4), row(2, 1.1, 4.0, spinning=True))
    assert setting == (2, True)
    assert reason == (
        "2 threads, spinning with p50 1.1 ms (1.09 ms to 1.11 ms) is the fastest; next is "
        "2 threads with 1.2 ms (1.19 ms to 1.21 ms)"
    )


def test_of_those_that_cannot_be_told_apart_the_least_cpu_time_is_recommended():
    wide = {"half": 0.2}
    setting, reason = chosen(
        row(1, 1.3, 1.3, **wide), row(2, 1.2, 2.4, **wide), row(2, 1.1, 4.0, spinning=True, **wide)
    )
    assert setting == (1, False)
    assert "1 thread with p50 1.3 ms (1.1 ms to 1.5 ms) cannot be told from the fastest" in reason
    assert reason.endswith("takes 1.3 ms of CPU an inference against 4 ms")


def test_what_cannot_be_told_apart_at_all_goes_to_the_fewest_threads():
    wide = {"half": 0.2}
    setting, reason = chosen(row(1, 1.3, 1.105, **wide), row(2, 1.2, 1.1, **wide))
    assert setting == (1, False)
    assert reason.endswith("takes 1.1 ms of CPU an inference against 1.1 ms")
    setting, reason = chosen(row(1, 1.1, 1.105, **wide), row(2, 1.2, 1.1, **wide))
    assert setting == (1, False)
    assert reason.endswith(
        "is the fastest, and none that cannot be told from it takes less than its 1.1 ms of CPU "
        "an inference"
    )


def test_without_intervals_nothing_can_be_told_apart():
    rows = [replace(r, p50=Estimate(r.p50.value, None, None)) for r in (row(1, 9, 9), row(2, 1, 2))]
    assert chosen(*rows)[0] == (2, False)  # by CPU time, which has its intervals here
    rows = [replace(r, cpu=Estimate(r.cpu.value, None, None)) for r in rows]
    assert chosen(*rows)[0] == (1, False)


def test_at_a_camera_s_pace_the_least_cpu_time_of_those_in_time_is_recommended():
    setting, reason = chosen(
        row(1, 40.0, 40.0, frame=40.0, missed=1.0),
        row(2, 22.0, 44.0, frame=45.0, missed=0.0),
        row(2, 20.0, 60.0, spinning=True, frame=66.0, missed=0.01),
    )
    assert setting == (2, False)
    assert reason == (
        "2 threads: 2 of 3 settings keep the deadline, and none of them takes less CPU time a "
        "frame than its 45 ms; 2 threads, spinning takes 66 ms"
    )


def test_where_none_is_in_time_the_fastest_is_recommended_and_the_misses_said():
    setting, reason = chosen(
        row(1, 90.0, 90.0, frame=90.0, missed=1.0), row(2, 50.0, 95.0, frame=95.0, missed=0.5)
    )
    assert setting == (2, False)
    assert reason.startswith(
        "no setting answers 99 % of the frames in time (the best, 2 threads, misses 50.0 %)"
    )


def test_a_single_core_has_one_setting():
    assert chosen(row(1, 1.0, 1.0))[1].endswith("is the only setting here")


# ----------------------------------------------------------------------------- what is kept


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A bundle of one file that a sweep was made of, what it held before, and the report."""
    folder = bench_models.write_bundle(tmp_path_factory.mktemp("sweep") / "bundle")
    before = json.loads((folder / "bundle.json").read_text())
    before |= {"reference": "student", "variants": {"student": before["variants"]["student"]}}
    (folder / "bundle.json").write_text(json.dumps(before))
    settings = Bench(
        profile="quick",
        processes=1,
        sweep=True,
        fps=200.0,
        layers=False,
        instructions="off",
        time_cap=200.0,
    )
    return folder, before, bench([folder], settings=settings, run=Run())


def test_a_sweep_is_in_the_report_with_its_reasons(swept):
    sweep, cores = swept[2]["sweep"], swept[2]["machine"]["cores"]
    each = len(settings_to_try(bench_models.variant("any"), cores))
    assert len(sweep["rows"]) == each
    for fields in sweep["rows"]:
        assert fields["p50"]["value"] > 0 and fields["cpu_seconds_per_inference"]["value"] > 0
        assert fields["cpu_seconds_per_frame"]["value"] > 0
        assert 0 <= fields["missed"]["value"] <= 1
    assert list(sweep["recommended"]) == ["student"]
    assert sweep["recommended"]["student"]["reason"]
    json.dumps(swept[2], allow_nan=False)


def test_what_it_recommends_is_kept_in_the_bundle_and_nothing_else_changes(swept):
    folder, before, report = swept
    after = json.loads((folder / "bundle.json").read_text())
    for name, best in report["sweep"]["recommended"].items():
        assert after["variants"][name].pop("session") == {
            "intra_op_num_threads": best["threads"],
            "session.intra_op.allow_spinning": "1" if best["spinning"] else "0",
        }
        before["variants"][name].pop("session")
    kept = after.pop("sweep")
    assert kept["rows"] == report["sweep"]["rows"]
    assert kept["machine"]["cpu"] == report["machine"]["cpu"]
    assert kept["versions"]["onnxruntime"] == report["machine"]["onnxruntime"]
    assert after == before
    verify_bundle(folder)


def write_settings(folder):
    found = [row(2, 1.0, 2.0, spinning=True)]
    keep_settings(folder, MACHINE, found, {"student": choose(found)})


def test_a_finished_export_stays_finished(tmp_path):
    folder = tmp_path / "bundle"
    asked = {"subject": "student", "seed": 0}
    open_stage(folder, "export", asked, result="bundle.json", force=False).begin()
    bench_models.write_bundle(tmp_path / "made")
    for path in (tmp_path / "made").iterdir():
        path.rename(folder / path.name)
    write_settings(folder)
    assert open_stage(folder, "export", asked, result="bundle.json", force=False).finished
    anew = open_stage(folder, "export", asked, result="bundle.json", force=True)
    assert not anew.finished and anew.replaced[-1] != "bundle.json"
    anew.begin()
    assert not (folder / "bundle.json").exists()


def test_what_another_runtime_does_best_is_not_kept_as_onnxruntime_s(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle")
    found = [replace(row(2, 1.0, 2.0), runtime="openvino")]
    keep_settings(folder, MACHINE, found, {"student": choose(found)})
    assert json.loads((folder / "bundle.json").read_text())["variants"]["student"]["session"] == {}


# ----------------------------------------------------------------------------- what is used


def test_recommended_settings_are_used_unless_threads_are_given():
    variants = [replace(bench_models.variant("student"), session=TWO_SPINNING)]
    (found,), notes = settle(variants, None)
    assert (found.threads, found.session) == (2, {"session.intra_op.allow_spinning": "1"})
    assert notes == ()
    (found,), (note,) = settle(variants, 2)
    assert (found.threads, found.session) == (2, {})
    assert "--threads 2: the settings that the bundle recommends for student are left" in note


def test_threads_that_are_those_recommended_leave_nothing_aside():
    same = {"intra_op_num_threads": 2, "session.intra_op.allow_spinning": "0"}
    assert settle([replace(bench_models.variant("student"), session=same)], 2)[1] == ()
    assert settle([bench_models.variant("student")], 2)[1] == ()


def test_without_either_one_thread_computes():
    (found,), _ = settle([bench_models.variant("student")], None)
    assert (found.threads, found.session) == (1, {})


def test_other_session_settings_of_a_bundle_stay():
    arena = {"enable_cpu_mem_arena": False}
    variant = replace(bench_models.variant("student"), session=TWO_SPINNING | arena)
    assert settle([variant], 1)[0][0].session == arena
    assert settle([variant], None)[0][0].session == arena | {"session.intra_op.allow_spinning": "1"}


def options(network):
    found = network.session.get_session_options()
    spinning = found.get_session_config_entry("session.intra_op.allow_spinning")
    return found.intra_op_num_threads, spinning


def test_predict_uses_them_too(tmp_path):
    metadata = {
        "compress.preprocessing": json.dumps(bench_models.SPEC.to_dict()),
        "compress.classes": json.dumps(bench_models.CLASSES),
        "compress.parameters": "1",
        "compress.network": "thirds",
    }
    folder = bench_models.write_bundle(tmp_path / "bundle")
    path = bench_models.write_model(folder / "student.onnx", metadata=metadata)
    content = json.loads((folder / "bundle.json").read_text())
    content["variants"]["student"] |= {"sha256": bench_models.digest(path)}
    (folder / "bundle.json").write_text(json.dumps(content))
    write_settings(folder)
    assert options(_open(folder, "student", None)) == (2, "1")
    assert options(_open(folder, "student", 1)) == (1, "0")
    assert options(_open(path, None, None)) == (1, "0")


def test_settings_found_on_another_machine_are_used_with_a_note(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle")
    write_settings(folder)
    settings = Bench(profile="quick", processes=1, layers=False, instructions="off")
    found = bench([folder], settings=settings, run=Run())
    assert found["variants"]["student"]["threads"] == 2
    assert found["variants"]["student"]["spinning"] is True
    assert found["variants"]["teacher"]["threads"] == 1
    assert found["settings"]["threads"] is found["settings"]["spinning"] is None  # not of all
    assert any(
        "found on another machine (Cortex-A76, 4 cores); find this one's with --sweep" in note
        for note in found["notes"]
    )
