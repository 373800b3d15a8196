"""Counters of instructions and energy: the kernel's, valgrind's, and those of boards."""

import mmap
import os
import struct
import sys
import threading
from dataclasses import replace

import pytest

import bench_models
from compress.errors import RunnerLostError, UsageError
from compress_bench import runner
from compress_bench.evidence import Counted
from compress_bench.measure import valgrind
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.counts import measure_counts, read_counts
from compress_bench.metrics import instructions
from compress_bench.profiles import PROFILES
from compress_bench.targets import local
from needs import needs_program

PERF_SOFTWARE, PAGE_FAULTS = 1, 2  # linux/perf_event.h
PAGES = 64
SHAPE = [1, bench_models.SIDE, bench_models.SIDE]

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters are Linux's")


# ---------------------------------------------------------------------------------- perf_event


def touch_pages():
    """Write to PAGES pages of new memory: each is a page fault."""
    size = PAGES * mmap.PAGESIZE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(getattr(mmap, "MADV_NOHUGEPAGE", mmap.MADV_NORMAL))
        for start in range(0, size, mmap.PAGESIZE):
            memory[start] = 1


def open_fault_counter():
    counter, why = runner.open_counter(PERF_SOFTWARE, PAGE_FAULTS)
    if counter is None:
        pytest.skip(why)
    return counter


@linux
def test_the_kernel_counts_the_page_faults_of_each_run():
    counter = open_fault_counter()
    touch_pages()
    found, why = runner.count(touch_pages, counter, runs=20)
    os.close(counter)
    assert why == ""
    assert PAGES <= found < PAGES + 8  # the interpreter takes a page now and then


@linux
def test_threads_that_start_after_the_counter_are_counted_while_they_live():
    counter = open_fault_counter()
    begin, done, leave = threading.Event(), threading.Event(), threading.Event()

    def work():
        begin.wait()
        touch_pages()
        done.set()
        leave.wait()

    thread = threading.Thread(target=work)
    thread.start()

    def let_it_work():
        begin.set()
        done.wait()

    found, _ = runner.count(let_it_work, counter, runs=1)
    leave.set()
    thread.join()
    os.close(counter)
    assert found >= PAGES


@linux
def test_a_refused_counter_comes_with_the_reason_in_words_and_the_kernels_name_for_it():
    counter, why = runner.open_counter(runner.PERF_HARDWARE, 999)
    assert counter is None
    assert why.startswith("perf_event_open: ")
    assert any(f"({name})" in why for name in ("EINVAL", "ENOENT", "EACCES", "EPERM", "ENOSYS"))


def readings(*rows):
    """A descriptor that gives one (events, nanoseconds enabled, running) at each reading."""
    source, sink = os.pipe()
    for row in rows:
        os.write(sink, struct.pack("=3Q", *row))
    os.close(sink)
    return source


def test_instructions_of_one_inference_are_the_growth_over_their_number():
    counter = readings((100, 5, 5), (900, 25, 25))
    assert runner.count(lambda: None, counter, runs=4) == (200.0, "")
    os.close(counter)


def test_a_counter_that_shared_its_hardware_gives_no_number():
    counter = readings((100, 5, 5), (900, 25, 20))
    found, why = runner.count(lambda: None, counter, runs=4)
    os.close(counter)
    assert found is None
    assert "75.0 % of the time only" in why


# -------------------------------------------------------------------------------------- energy


def write_tree(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


def packages(root, *energies, most=262_143_328_850):
    """Powercap's folders of as many processor packages, with a part of each and all of them."""
    files = {"class/powercap/intel-rapl:9/name": "psys"}
    for i, energy in enumerate(energies):
        for folder, name in ((f"intel-rapl:{i}", f"package-{i}"), (f"intel-rapl:{i}:0", "core")):
            files |= {
                f"class/powercap/{folder}/name": name,
                f"class/powercap/{folder}/energy_uj": energy,
                f"class/powercap/{folder}/max_energy_range_uj": most,
            }
    return write_tree(root, files)


def test_energy_of_a_run_is_what_all_packages_used_and_no_part_counts_twice(tmp_path):
    meter, why = runner.find_meter(str(packages(tmp_path, 1_000_000, 5_000_000)))
    assert why == ""

    def run():
        packages(tmp_path, 3_000_000, 5_500_000)

    assert runner.measure_joules(run, meter, seconds=1e-9) == (pytest.approx(2.5), "")
    assert "package" in meter.source


def test_a_package_whose_count_began_anew_has_used_the_rest_of_its_range_too(tmp_path):
    meter, _ = runner.find_meter(str(packages(tmp_path, 9_000_000, most=10_000_000)))

    def run():
        packages(tmp_path, 500_000, most=10_000_000)

    assert runner.measure_joules(run, meter, seconds=1e-9) == (pytest.approx(1.5), "")


def test_a_count_that_stands_still_is_no_energy(tmp_path):
    meter, _ = runner.find_meter(str(packages(tmp_path, 9)))
    found, why = runner.measure_joules(lambda: None, meter, seconds=1e-9)
    assert found is None and "did not move" in why


def test_a_count_that_may_not_be_read_is_said_with_its_file(tmp_path):
    root = packages(tmp_path, 1)
    (root / "class/powercap/intel-rapl:0/energy_uj").unlink()
    meter, why = runner.find_meter(str(root))
    assert meter is None
    assert "energy_uj" in why and "root may read it" in why


def jetson(root, *, label="VDD_IN", **changes):
    """hwmon's folder of the chip on a Jetson's module: 5 V and 2 A on the first rail."""
    files = {
        "name": "ina3221",
        "in1_label": label,
        "in1_input": 5000,
        "curr1_input": 2000,
        "in2_label": "VDD_CPU_GPU_CV",
        "in2_input": 5000,
        "curr2_input": 400,
        "in7_label": "sum of shunt voltages",
        "in7_input": 12,
    }
    files |= changes
    return write_tree(root, {f"class/hwmon/hwmon3/{name}": v for name, v in files.items()})


def test_a_jetsons_energy_is_the_mean_power_of_its_input_rail_over_the_time(tmp_path):
    meter, why = runner.find_meter(str(jetson(tmp_path)))
    assert why == ""
    meter.begin()
    meter.sample()  # 10 W
    jetson(tmp_path, curr1_input=3000)
    meter.sample()  # 15 W
    assert meter.joules(0.5) == pytest.approx(6.25)
    assert meter.source == "ina3221, the board's input VDD_IN"


def test_power_that_a_chip_gives_itself_is_taken_as_it_is(tmp_path):
    meter, _ = runner.find_meter(str(jetson(tmp_path, power1_input=7_000_000)))
    meter.begin()
    meter.sample()
    assert meter.joules(2.0) == pytest.approx(14.0)


def test_rails_that_are_parts_of_a_board_are_named_and_not_summed(tmp_path):
    meter, why = runner.find_meter(str(jetson(tmp_path, label="VDD_SOC")))
    assert meter is None
    assert why == "none of the rails VDD_CPU_GPU_CV, VDD_SOC feeds the whole board"


def test_a_machine_without_meters_says_so(tmp_path):
    meter, why = runner.find_meter(str(tmp_path))
    assert meter is None and "neither RAPL nor a power rail" in why


# ------------------------------------------------------------------------------------ the jobs


def job(path, wanted, **changes):
    fields = {
        "kind": "counts",
        "threads": 1,
        "batch_size": 1,
        "seed": 0,
        "runtimes": {},
        "instructions": wanted,
        "budget_seconds": 600.0,
        "models": [{"variant": "a", "path": str(path), "shape": SHAPE}],
    }
    return fields | changes


def counts(events):
    return next(event for event in events if event["event"] == "counts")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bench_models.write_model(tmp_path_factory.mktemp("counters") / "small.onnx")


@pytest.mark.parametrize("wanted", ["auto", "off"])
def test_each_number_that_is_missing_has_a_reason(model, wanted):
    event = counts(local.stream(job(model, wanted)))
    assert (event["instructions"] is None) == bool(event["reason"])
    assert (event["joules"] is None) == bool(event["energy_reason"])
    if wanted == "off":
        assert event["reason"] == "not asked for"
    elif event["instructions"] is None:
        assert "--instructions valgrind" in event["reason"]


needs_valgrind = needs_program("valgrind", package="valgrind")


@needs_valgrind
@pytest.mark.slow
def test_valgrind_counts_the_instructions_of_one_inference(tmp_path):
    side, width = bench_models.SIDE**2, 512
    path = bench_models.write_model(tmp_path / "large.onnx", extra=width)
    found = counts(valgrind.stream(job(path, "valgrind")))
    multiplied = side * width + width * width + width * 3 + side * 3
    # AVX2 multiplies 8 pairs in an instruction, SSE 4; Python's call takes some 50,000 more.
    assert multiplied / 8 < found["instructions"] < multiplied + 100_000
    assert (found["source"], found["reason"]) == ("valgrind", "")
    assert found["joules"] is None and "emulated" in found["energy_reason"]


def test_an_inference_that_does_not_fit_the_time_is_not_counted_under_valgrind(model):
    event = counts(local.stream(job(model, "valgrind", budget_seconds=0.0)))  # it ends before
    assert event["instructions"] is None
    assert "give a longer --time-cap" in event["reason"]


def test_without_valgrind_the_flag_is_refused_with_the_package(model, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"--instructions valgrind: .* apt-get install valgrind"):
        next(valgrind.stream(job(model, "valgrind")))


def test_a_file_without_totals_is_no_count(tmp_path):
    (tmp_path / "counts.2").write_text("version: 1\n")
    with pytest.raises(ValueError, match="expected a line of totals"):
        valgrind.read_total(tmp_path / "counts.2")


# -------------------------------------------------------------------------------- the evidence


def event(**changes):
    fields = {
        "instructions": None,
        "source": "",
        "reason": "none",
        "joules": None,
        "energy_source": "",
        "energy_reason": "no meter",
    }
    return fields | changes


def test_processes_that_counted_are_kept_and_the_others_say_why():
    both = [event(instructions=5.0, source="perf_event", reason=""), event(source="perf_event")]
    found = read_counts(both)
    assert found.instructions == (5.0,) and found.reason == "none"
    assert found.joules == () and found.energy_reason == "no meter"


def test_a_runner_that_dies_while_counting_costs_its_number_and_not_the_bench(model):
    asked = []

    def dying(wanted):
        asked.append(wanted["models"][0]["variant"])
        raise RunnerLostError("killed by SIGILL")
        yield

    bed = Bed(
        target=dying,
        threads=1,
        batch_size=1,
        seed=0,
        profile=PROFILES["standard"],
        clock=Clock(60.0),
    )
    variants = [replace(bench_models.variant(name), path=model) for name in ("a", "b")]
    found, gaps = measure_counts(bed, variants, "auto", lambda _: None)
    assert gaps == ()  # nothing was begun
    assert asked == ["a", "b"]  # the other variant may well be counted
    assert [counted.instructions for counted in found.values()] == [(), ()]
    assert {counted.reason for counted in found.values()} == {"killed by SIGILL"}


def test_two_emulated_counts_bound_the_number_themselves():
    counted = Counted(instructions=(1000.0, 1002.0), source="valgrind")
    evidence = replace(bench_models.evidence(), counted={"student": counted})
    found = instructions.measure(evidence, "student")
    assert found["instructions"] == {
        "value": 1001.0,
        "low": 1000.0,
        "high": 1002.0,
        "confidence": 1.0,
    }
    assert found["instructions_source"] == "valgrind"
