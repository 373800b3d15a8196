"""Whether a verdict of `compress bench` can be signed: whether it invents or misses differences.

`pytest -s benchmarks/suite/test_bench_trust.py --runs 20`, on an idle machine, takes half an hour
or so. Each run is a whole bench of files that are made here, of 1 ms an inference or so: ten equal
convolutions, or eleven, which is a tenth more work to the last multiplication.

1. A file against its own copy, half of the runs beside a busy neighbour: never "faster", "slower".
2. Eleven convolutions against ten: "slower", in all runs but one in twenty.
3. 103 small convolutions against a baseline of 100: a regression by instructions in each run; and
   never one of the same file. The kernel counts where it may, else valgrind.
4. What timing each inference adds to it, against a bare loop in the same process.
"""

import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from compress.artifacts import write_json
from compress.intervals import t_interval
from compress.settings import Bench, Run
from compress_bench import runner
from compress_bench.recipe import bench

onnx = pytest.importorskip("onnx", reason="pip install 'edge-compress[export]'")

FOUND = 0.95  # of runs find a tenth more work
MOST_OVERHEAD = 0.01
TURNS, TURN = 300, 20  # bare and timed loops in turns, of so many inferences
TIMED = Bench(layers=False, instructions="off")
DECLARED = ("faster", "slower")


def write_convolutions(path, count, *, channels=32, side=28, seed=0):
    """So many equal 3 x 3 convolutions with ReLU in a row: each has the same multiply-adds."""
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    rng = np.random.default_rng(seed)
    spread = np.sqrt(2 / (9 * channels))  # He: values neither grow nor fade
    nodes, weights, last = [], [], "input"
    for i in range(count):
        values = rng.normal(0, spread, (channels, channels, 3, 3)).astype(np.float32)
        weights.append(array(values, f"weight{i}"))
        nodes += [
            helper.make_node("Conv", [last, f"weight{i}"], [f"sum{i}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"sum{i}"], [f"layer{i}"]),
        ]
        last = f"layer{i}"
    shape = [1, channels, side, side]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("input", last)
    ]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", 18)]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@contextmanager
def neighbour():
    """Another program that keeps a core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()


def race(files, seed):
    """One bench of two files; what it says of the second, and its flags."""
    started = time.monotonic()
    report = bench(files, settings=TIMED, run=Run(seed=seed))
    speedup = report["variants"][files[1].stem]["speedup"]
    seconds = time.monotonic() - started
    return speedup, report["flags"], report["resolution"]["smallest_difference"], seconds


def percent(share):
    return "none" if share is None else f"{100 * share:.2f} %"


def row(index, speedup, flags, least, seconds, *more):
    bounds = f"{speedup['value']:.4f} ({speedup['low']:.4f} to {speedup['high']:.4f})"
    cells = [index, *more, bounds, speedup["verdict"], percent(least), " ".join(flags)]
    return "| " + " | ".join(map(str, [*cells, f"{seconds:.0f}"])) + " |"


def head(*columns):
    return f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


COLUMNS = ("speed-up", "verdict", "smallest difference", "flags", "s")


def test_a_file_is_never_faster_or_slower_than_its_own_copy(request, tmp_path, capsys):
    runs = request.config.getoption("--runs")
    original = write_convolutions(tmp_path / "original.onnx", 10)
    files = [original, Path(shutil.copy(original, tmp_path / "copy.onnx"))]
    verdicts = []
    with capsys.disabled():
        print(head("run", "neighbour", *COLUMNS))
        for i in range(runs):
            if i % 2:
                with neighbour():
                    found = race(files, seed=i)
            else:
                found = race(files, seed=i)
            print(row(i, *found, "busy" if i % 2 else "none"), flush=True)
            verdicts.append(found[0]["verdict"])
        declared = sum(verdict in DECLARED for verdict in verdicts)
        print(f"A/A: {declared} of {runs} runs declared a difference; none may")
    assert declared == 0


def test_a_tenth_more_work_is_found_slower(request, tmp_path, capsys):
    runs = request.config.getoption("--runs")
    files = [write_convolutions(tmp_path / f"{n}.onnx", n) for n in (10, 11)]
    verdicts = []
    with capsys.disabled():
        print(head("run", *COLUMNS))
        for i in range(runs):
            found = race(files, seed=i)
            print(row(i, *found), flush=True)
            verdicts.append(found[0]["verdict"])
        print(f"power: {verdicts.count('slower')} of {runs} runs found 10 % more work slower")
    assert verdicts.count("slower") >= FOUND * runs


def count_on(folder, layers, seed, source, baseline=None):
    """One bench by instructions of a file of that name; its verdict on them, and the number."""
    path = write_convolutions(folder / "net.onnx", layers, channels=16, side=8, seed=seed)
    profile = "standard" if source == "perf" else "quick"  # five processes count, or two emulated
    settings = Bench(
        profile=profile, layers=False, instructions=source, baseline=baseline, time_cap=600.0
    )
    report = bench([path], settings=settings, run=Run(seed=seed))
    write_json(folder / "report.json", report)
    goals = report["verdict"]["goals"]
    verdict = [goal["status"] for goal in goals if goal["metric"] == "instructions"]
    return verdict, report["variants"]["net"]["instructions"]["value"]


def test_three_percent_more_work_is_a_regression_by_instructions(request, tmp_path, capsys):
    runs = request.config.getoption("--runs")
    counter, why = runner.open_counter(runner.PERF_HARDWARE, runner.PERF_INSTRUCTIONS)
    source = "perf" if counter is not None else "valgrind"
    more, same = [], []
    with capsys.disabled():
        print(f"\ncounted by {source}; {why or 'the kernel counts here'}")
        print(head("run", "instructions", "the same again", "3 % more work", "verdicts"))
        for i in range(runs):
            folder = tmp_path / str(i)
            _, first = count_on(folder / "old", 100, i, source)
            baseline = folder / "old" / "report.json"
            again, repeated = count_on(folder / "same", 100, i, source, baseline)
            grown, larger = count_on(folder / "new", 103, i, source, baseline)
            shares = f"{repeated / first - 1:+.4%} | {larger / first - 1:+.4%}"
            print(f"| {i} | {first:,.0f} | {shares} | {again[0]}, {grown[0]} |", flush=True)
            same += again
            more += grown
        print(f"power: {more.count('fail')} of {runs} runs found 3 % more work by {source}")
        print(f"false alarms: {same.count('fail')} of {runs}")
    assert more == ["fail"] * runs
    assert same == ["pass"] * runs


def test_timing_each_inference_adds_less_than_a_percent(tmp_path, capsys):
    path = write_convolutions(tmp_path / "ten.onnx", 10)
    job = {"threads": 1, "batch_size": 1, "seed": 0, "warm_up_seconds": 1.0}
    job |= {"block_seconds": 0.02, "block_inferences": TURN}
    model = {"variant": "ten", "path": str(path)}
    session = runner.open_session(model, job, [].append)
    feed = runner.make_feed(session, model, job)
    stream = runner.Stream("ten", session, feed)
    runner.warm_up(stream, job)
    stream.count = TURN

    def bare():
        run, clock = session.run, time.perf_counter_ns
        run(None, feed)
        started = clock()
        for _ in range(TURN):
            run(None, feed)
        return (clock() - started) / TURN

    def harness():
        return stream.block()["wall_ns"] / TURN

    pairs = []
    for turn in range(TURNS):
        ordered = (bare, harness) if turn % 2 else (harness, bare)
        taken = {contender: contender() for contender in ordered}
        pairs.append((taken[bare], taken[harness]))
    logs = np.log([timed / alone for alone, timed in pairs])
    centre = statistics.median(logs)
    found = t_interval(logs)
    with capsys.disabled():
        alone = statistics.median(alone for alone, _ in pairs)
        print(
            f"\noverhead: {centre:+.3%} in the median turn of {TURNS}, mean {found.value:+.3%} "
            f"({found.low:+.3%} to {found.high:+.3%}); a bare inference takes {alone / 1e6:.3f} ms"
        )
    assert centre < MOST_OVERHEAD
