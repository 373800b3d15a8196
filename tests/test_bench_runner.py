"""The runner in its own process, as a board would run it."""

import ast
import base64
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bench_models
import compress.preprocess
from compress.errors import BenchError, RunnerLostError
from compress.preprocess import preprocess
from compress_bench import runner
from compress_bench.evidence import COPY
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.latency import measure_latency
from compress_bench.profiles import PROFILES
from compress_bench.targets.local import stream


def job(kind, paths, **changes):
    fields = {
        "kind": kind,
        "threads": 1,
        "batch_size": 1,
        "seed": 0,
        "rounds": 2,
        "block_seconds": 0.001,
        "block_inferences": 5,
        "warm_up_seconds": 0.02,
        "runtimes": {},
        "models": [{"variant": name, "path": str(path)} for name, path in paths.items()],
    }
    return fields | changes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bench_models.write_model(tmp_path_factory.mktemp("runner") / "small.onnx")


def source():
    return Path(runner.__file__).read_text()


def test_the_runner_and_its_preprocessing_are_of_python_3_8():
    for text in (source(), Path(compress.preprocess.__file__).read_text()):
        ast.parse(text, feature_version=(3, 8))


def test_the_runner_needs_numpy_and_onnxruntime_and_nothing_else():
    found = set()
    for node in ast.walk(ast.parse(source())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}


def test_each_round_has_one_block_of_each_model_in_changing_order(model):
    names = ["a", "b", "c", "d"]
    events = list(stream(job("latency", dict.fromkeys(names, model), rounds=6)))
    rounds = [event for event in events if event["event"] == "round"]
    orders = [tuple(block["variant"] for block in event["blocks"]) for event in rounds]
    assert len(rounds) == 6
    assert all(sorted(order) == names for order in orders)
    assert len(set(orders)) > 1
    for event in rounds:
        for block in event["blocks"]:
            assert len(block["samples_ns"]) >= 5
            assert 0 < sum(block["samples_ns"]) <= block["wall_ns"]


def test_the_first_two_inferences_are_kept_apart_and_warming_up_takes_three_more(model):
    events = list(stream(job("latency", {"a": model})))
    (warm_up,) = (event for event in events if event["event"] == "warm_up")
    assert warm_up["first_seconds"] > 0 and warm_up["second_seconds"] > 0
    assert warm_up["runs"] >= 5


def test_the_same_seed_gives_the_same_order(model):
    def order(seed):
        events = stream(job("latency", dict.fromkeys("abcd", model), seed=seed, rounds=5))
        return [[b["variant"] for b in e["blocks"]] for e in events if e["event"] == "round"]

    assert order(3) == order(3) != order(4)


def test_spinning_is_off_and_unknown_settings_are_skipped_and_said(model):
    settings = {"no_such_attribute": 1, "enable_cpu_mem_arena": False}
    events = list(stream(job("inspect", {"a": model}, session=settings)))
    (session,) = (event for event in events if event["event"] == "session")
    assert session["skipped"] == ["no_such_attribute"]
    assert session["applied"] == {
        "session.intra_op.allow_spinning": "0",
        "enable_cpu_mem_arena": False,
    }


def test_a_setting_that_onnxruntime_refuses_is_skipped_and_said(model):
    too_long = "session." + "x" * 5000
    events = list(stream(job("inspect", {"a": model}, session={too_long: "1"})))
    (session,) = (event for event in events if event["event"] == "session")
    assert session["skipped"] == [too_long]
    assert set(session["applied"]) == {"session.intra_op.allow_spinning"}


def test_the_hello_tells_versions_and_the_first_parts_of_a_cold_start(model):
    import onnxruntime

    hello = next(stream(job("inspect", {"a": model})))
    assert hello["event"] == "hello"
    assert hello["runtimes"] == {"onnxruntime": onnxruntime.__version__}
    assert hello["import_numpy_seconds"] > 0 and hello["import_runtime_seconds"] > 0
    if sys.platform == "linux":
        assert hello["python_seconds"] >= 0


def test_each_round_comes_with_the_state_of_the_machine(model):
    events = list(stream(job("latency", {"a": model}, rounds=3)))
    states = [event["state"] for event in events if event["event"] in ("state", "round")]
    assert len(states) == 4  # one before the first round
    assert all({"khz", "celsius", "load", "stolen_cpu_seconds"} <= state.keys() for state in states)
    seconds = [state["seconds"] for state in states]
    assert seconds == sorted(seconds)


def test_a_budget_that_is_used_up_ends_after_the_first_round_and_says_so(model):
    events = list(stream(job("latency", {"a": model}, rounds=50, budget_seconds=0.0)))
    assert [event["round"] for event in events if event["event"] == "round"] == [0]
    assert [event["rounds"] for event in events if event["event"] == "capped"] == [1]


def test_paced_frames_have_a_time_or_none_each(model):
    events = list(stream(job("paced", {"a": model}, fps=200, frames=15)))
    (paced,) = (event for event in events if event["event"] == "paced")
    assert paced["period_seconds"] == 1 / 200
    assert len(paced["frames_ns"]) == 15
    assert all(taken is None or taken > 0 for taken in paced["frames_ns"])


def test_a_sustained_run_tells_one_median_a_window(model):
    changes = {"idle_seconds": 0.0, "seconds": 0.3, "window_seconds": 0.1}
    events = list(stream(job("sustained", {"a": model}, **changes)))
    windows = [event for event in events if event["event"] == "window"]
    assert 1 <= len(windows) <= 3
    assert all(window["median_ns"] > 0 and window["inferences"] >= 1 for window in windows)
    assert all(window["seconds"] >= 0.1 for window in windows)  # what it took, not what was planned


def test_a_sustained_run_shorter_than_an_inference_still_has_one_in_one_window(model):
    changes = {"idle_seconds": 0.0, "seconds": 1e-9, "window_seconds": 1e-10}
    events = list(stream(job("sustained", {"a": model}, **changes)))
    (window,) = (event for event in events if event["event"] == "window")
    assert window["inferences"] == 1
    assert window["median_ns"] <= window["seconds"] * 1e9


class Answering:
    """A stream that notes when it is asked, seconds of the runner's clock."""

    def __init__(self):
        self.asked = []

    def run(self):
        self.asked.append(time.perf_counter())


def test_no_frame_is_answered_before_it_is_there():
    stream, period, begun = Answering(), 0.005, time.perf_counter()
    taken = runner.pace_frames(stream, period, 20)["frames_ns"]
    answered = [index for index, seconds in enumerate(taken) if seconds is not None]
    assert len(answered) == len(stream.asked)
    for index, asked in zip(answered, stream.asked, strict=True):
        # The first comes a period after the beginning; nanoseconds are cut off.
        assert asked - begun >= (index + 1) * period - 1e-6


def test_the_profile_of_layers_has_each_operator_in_each_run(model):
    changes = {"runs": 6, "optimization": "all", "budget_seconds": 60.0}
    events = list(stream(job("layers", {"a": model}, **changes)))
    (layers,) = (event for event in events if event["event"] == "layers")
    assert layers["runs"] == 6
    assert "MatMul" in [node["operator"] for node in layers["nodes"]]
    assert all(len(node["microseconds"]) == 6 for node in layers["nodes"])


def test_inspect_tells_machine_shapes_and_metadata(tmp_path):
    path = bench_models.write_model(tmp_path / "m.onnx", metadata={"compress.parameters": "7"})
    events = {event["event"]: event for event in stream(job("inspect", {"a": path}))}
    assert events["model"]["inputs"][0]["shape"] == ["batch", 1, 6, 6]
    assert events["model"]["outputs"][0]["shape"] == ["batch", 3]
    assert events["model"]["metadata"] == {"compress.parameters": "7"}
    assert events["machine"]["cores"] >= 1
    assert events["hello"]["numpy"] == np.__version__


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters are Linux's")
def test_memory_is_what_the_model_adds_in_a_fresh_process(tmp_path, model):
    large = bench_models.write_model(tmp_path / "large.onnx", extra=1500)  # 9 MB of weights
    found = {}
    for name, path in {"small": model, "large": large}.items():
        events = {event["event"]: event for event in stream(job("memory", {name: path}))}
        found[name] = events["memory"]
        assert events["session"]["seconds"] > 0 and found[name]["first_seconds"] > 0
        assert found[name]["finite"] is True
    grown = found["large"]["model_bytes"] - found["small"]["model_bytes"]
    assert 9_000_000 < grown < 60_000_000


@pytest.mark.parametrize("batch", ["batch", 7])
def test_predictions_are_those_of_onnxruntime_in_this_process(tmp_path, batch):
    import onnxruntime

    path = bench_models.write_model(tmp_path / "m.onnx", batch=batch)
    images, labels = bench_models.images(25)  # not a multiple of 7: the last batch is padded
    np.savez(tmp_path / "evaluation.npz", images=images, labels=labels)
    request = job(
        "predict",
        {"a": path},
        evaluation=str(tmp_path / "evaluation.npz"),
        preprocess=compress.preprocess.__file__,
    )
    request["models"][0]["preprocessing"] = bench_models.SPEC.to_dict()
    (event,) = (event for event in stream(request) if event["event"] == "logits")
    logits = np.frombuffer(base64.b64decode(event["float32"]), "<f4").reshape(event["shape"])

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = 25 if batch == "batch" else 1
    inputs = preprocess(images, bench_models.SPEC)
    if rows == 25:
        np.testing.assert_allclose(logits, session.run(None, {"input": inputs})[0], rtol=1e-5)
    assert logits.shape == (25, 3)
    assert (logits.argmax(axis=1) == labels).all()


def predicted(tmp_path, path, count=25):
    """The runner's events of one file on `count` images, and the right labels."""
    images, labels = bench_models.images(count)
    np.savez(tmp_path / "evaluation.npz", images=images, labels=labels)
    request = job(
        "predict",
        {"a": path},
        evaluation=str(tmp_path / "evaluation.npz"),
        preprocess=compress.preprocess.__file__,
    )
    request["models"][0]["preprocessing"] = bench_models.SPEC.to_dict()
    found = [event for event in stream(request) if event["event"] in ("logits", "labels")]
    return found, labels


def rows(event):
    return np.frombuffer(base64.b64decode(event["float32"]), "<f4").reshape(event["shape"])


@pytest.mark.parametrize("batch", ["batch", 7])
def test_frames_are_answered_as_normalised_images_are(tmp_path, batch):
    ends = {"float": ("float", "logits"), "uint8": ("uint8", "logits")}
    paths = {
        name: bench_models.write_model(tmp_path / f"{name}.onnx", batch=batch, ends=kinds)
        for name, kinds in ends.items()
    }
    (normalised,), _ = predicted(tmp_path, paths["float"])
    (framed,), _ = predicted(tmp_path, paths["uint8"])
    np.testing.assert_array_equal(rows(framed), rows(normalised))


@pytest.mark.parametrize("batch", ["batch", 7])
def test_labels_come_with_their_scores(tmp_path, batch):
    path = bench_models.write_model(tmp_path / "m.onnx", batch=batch, ends=("uint8", "label"))
    (event,), labels = predicted(tmp_path, path)
    assert (event["event"], event["labels"]) == ("labels", labels.tolist())
    scores = np.frombuffer(base64.b64decode(event["float32"]), "<f4")
    assert scores.shape == (25,) and (scores > 1 / 3).all() and (scores <= 1).all()


def test_a_runner_that_is_killed_names_the_model_it_was_busy_with(model):
    with pytest.raises(BenchError, match=r"busy \(.*\): .* killed by SIGKILL"):
        for event in stream(job("latency", {"busy": model}, rounds=100_000)):
            if event["event"] == "hello":
                pid = event["pid"]
            if event["event"] == "round" and event["round"] == 1:
                os.kill(pid, signal.SIGKILL)


def dying(deaths, after):
    """This machine, whose first runners are killed once they have told of round `after`."""
    left = [deaths]

    def target(wanted):
        pid = 0
        for event in stream(wanted):
            pid = event.get("pid", pid)
            yield event
            if event["event"] == "round" and event["round"] == after and left[0]:
                left[0] -= 1
                os.kill(pid, signal.SIGKILL)

    return target


def measure_on(target, model):
    profile = replace(PROFILES["quick"], processes=2, rounds=100)
    bed = Bed(target=target, threads=1, batch_size=1, seed=0, profile=profile, clock=Clock(600.0))
    variant = replace(bench_models.variant("small"), path=model)
    return measure_latency(bed, [variant], "small", lambda _: None)


def test_a_killed_runner_keeps_its_finished_rounds_and_another_takes_its_place(model):
    found = measure_on(dying(deaths=1, after=2), model)
    assert [process.lost for process in found.processes] == [True, False, False]
    kept, *whole = (len(process.rounds) for process in found.processes)
    assert 3 <= kept < 100  # what was in the pipe when it died was finished too
    assert whole == [100, 100]
    assert all(len(r["small"]) and len(r[COPY]) for r in found.processes[0].rounds)
    (note,) = found.notes
    assert "lost_process" in note and "killed by SIGKILL" in note


def test_runners_that_keep_dying_end_the_bench_with_what_killed_them(model):
    with pytest.raises(RunnerLostError, match=r"(small|reference again) .*killed by SIGKILL"):
        measure_on(dying(deaths=9, after=0), model)


def test_a_runner_that_cannot_start_leaves_its_last_words(monkeypatch, model):
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(BenchError, match=r"the runner: .* ended with status 1; its last words: \S"):
        list(stream(job("inspect", {"a": model})))


def test_leaving_the_events_ends_the_process(model):
    events = stream(job("latency", {"a": model}, rounds=100_000))
    pid = next(events)["pid"]
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_interrupt_while_listening_ends_the_process(model):
    events = stream(job("latency", {"a": model}, rounds=100_000))
    pid = next(events)["pid"]
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_libraries_print_does_not_reach_the_events(model):
    program = (
        "import os, sys; sys.argv = ['runner']; sys.path.insert(0, sys.argv[0]);"
        "from compress_bench import runner; emit = runner.open_output();"
        "print('noise', flush=True); os.write(1, b'more noise'); emit({'event': 'done'})"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert found.stdout == '{"event": "done"}\n'
    assert "more noise" in found.stderr
