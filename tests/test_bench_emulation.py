"""Core types that this machine plays: what is kept, what is refused, what really runs there."""

import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench_models import write_model
from compress.errors import BenchError, EmulatorMissingError, RunnerLostError, UsageError
from compress.progress import SILENT
from compress_bench.emulation.cores import find_core
from compress_bench.emulation.emulator import Emulator, find_emulator
from compress_bench.emulation.fetching import distribution, platforms
from compress_bench.emulation.guests import find_guest
from compress_bench.emulation.kept import kept
from compress_bench.emulation.playing import Guest
from compress_bench.emulation.plugin import find_counter
from compress_bench.machine import describe_machine
from compress_bench.targets import Place, open_place
from needs import needs_program, open_core

needs_arm = needs_program("qemu-aarch64", package="qemu-user")
needs_x86 = needs_program("qemu-x86_64", package="qemu-user")
needs_compiler = needs_program("cc", package="gcc libc6-dev")
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="Haswell is played on x86-64")


@pytest.fixture(scope="module")
def a72():
    with ExitStack() as stack:
        yield open_core(stack, "emulate:cortex-a72")


@pytest.fixture(scope="module")
def haswell():
    with ExitStack() as stack:
        yield open_core(stack, "emulate:haswell")


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> dict:
    """What the machine is and how many instructions a small net takes, in one process."""
    path = write_model(tmp_path_factory.mktemp("net") / "net.onnx", batch=1)
    return {
        "kind": "several",
        "models": [{"variant": "net", "path": str(path)}],
        "runtimes": {},
        "threads": 1,
        "batch_size": 1,
        "seed": 0,
        "warm_up_seconds": 0.0,
        "block_seconds": 0.01,
        "block_inferences": 1,
        "jobs": [{"kind": "inspect"}, {"kind": "counts", "instructions": "emulator"}],
    }


def played(place: Place, job: dict) -> dict:
    """The events of a job by their name."""
    return {event["event"]: event for event in place.stream(job)}


# ------------------------------------------------------------------------------- what really runs


@needs_arm
@needs_compiler
def test_a_cortex_a72_says_what_it_is_and_counts_the_same_in_two_processes_at_once(a72, job):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: played(a72, job), range(2))
    machine = describe_machine({**first["hello"], **first["machine"]})
    assert (machine["machine"], machine["cpu"]) == ("aarch64", "Cortex-A72")
    assert machine["emulated"]
    assert machine["governor"] is None  # not this machine's
    counts = [found["counts"]["instructions"] for found in (first, second)]
    assert first["counts"]["source"] == "qemu plugin"
    assert counts[0] > 10_000
    assert max(counts) / min(counts) < 1.005


@on_x86
@needs_x86
@needs_compiler
def test_a_haswell_runs_with_this_machines_python_and_has_no_vnni(haswell, job):
    found = played(haswell, job)
    machine = describe_machine({**found["hello"], **found["machine"]})
    assert (machine["cpu"], machine["isa"]) == ("Intel Haswell", ["avx2"])
    assert machine["emulated"]
    assert found["counts"]["instructions"] > 10_000


@needs_arm
def test_an_onnxruntime_that_needs_a_newer_core_ends_in_one_sentence(job):
    with ExitStack() as stack:
        place = open_core(stack, "emulate:cortex-a72?onnxruntime=1.21.0")
        with pytest.raises(RunnerLostError) as lost:
            played(place, job)
    assert str(lost.value) == (
        "emulate:cortex-a72: the measuring process met an illegal instruction: onnxruntime 1.21.0 "
        "does not run on a Cortex-A72; take 1.22 or newer, or build it for this core"
    )


# ------------------------------------------------------------------------------- what is refused


def test_without_qemu_the_sentence_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(EmulatorMissingError, match=r"install it .*apt install qemu-user"),
        open_place("emulate:cortex-a72", SILENT),
    ):
        pass


def test_an_old_qemu_is_refused(monkeypatch, tmp_path):
    program = tmp_path / "qemu-x86_64"
    program.write_text("#!/bin/sh\necho qemu-x86_64 version 6.2.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorMissingError, match=r"expected qemu 7\.2 or newer.* found 6\.2\.0"):
        find_emulator(find_core("haswell"))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("emulate:cortex-a7", 'did you mean "cortex-a76"'),
        ("emulate:", "CORE is one of cortex-a35"),
        ("emulate:cortex-a72?numpy=2", r"expected emulate:CORE or emulate:CORE\?onnxruntime="),
    ],
)
def test_a_reference_that_is_none_is_refused(reference, said):
    with pytest.raises(UsageError, match=said), open_place(reference, SILENT):
        pass


def test_without_apt_the_way_out_is_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorMissingError, match=r"apt-get.*set COMPRESS_AARCH64_ROOT"):
        distribution()


def test_a_folder_without_python_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPRESS_AARCH64_ROOT", str(tmp_path))
    with pytest.raises(BenchError, match=r"expected a system with usr/bin/python3\.N, found none"):
        find_guest(find_core("cortex-a72"), Emulator("qemu", "7.2", True), None, SILENT)


def test_your_own_folder_brings_its_python_and_its_version(monkeypatch, tmp_path):
    for path in ("usr/bin", "usr/local/lib/python3.9/dist-packages/onnxruntime-1.19.2.dist-info"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "usr/bin/python3.9").touch()
    monkeypatch.setenv("COMPRESS_AARCH64_ROOT", str(tmp_path))
    guest = find_guest(find_core("cortex-a53"), Emulator("qemu", "7.2", True), None, SILENT)
    assert (guest.python, guest.onnxruntime) == (tmp_path / "usr/bin/python3.9", "1.19.2")
    assert not guest.keeps_bytecode


def test_an_emulator_without_plugins_gives_the_reason_for_no_counts(tmp_path):
    found = find_counter(
        Emulator("/usr/bin/qemu-aarch64-static", "10.0.2", False),
        find_core("cortex-a72"),
        Guest(Path("python3"), "1.32.0"),
        tmp_path,
    )
    assert found[0] is None
    assert "10.0.2 was built without plugins" in found[1]


def test_looking_for_pip_does_not_break_setuptools_in_this_process():
    code = "from compress_bench.emulation import fetching; fetching._pip(); import setuptools"
    path = os.pathsep.join(str(Path(__file__).parents[1] / part) for part in (".", "benchmarks"))
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_wheels_for_any_older_glibc_can_be_loaded():
    assert platforms("aarch64", 18) == [
        "manylinux_2_18_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ]


# ------------------------------------------------------------------------------- what is kept


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edge-compress" / "emulation"


def write_two(folder: Path) -> None:
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")


def test_a_folder_that_lost_a_file_is_made_again(cache):
    (kept("thing", write_two) / "a").unlink()
    assert (kept("thing", write_two) / "a").read_text() == "one"


def test_what_fails_on_the_way_leaves_nothing(cache):
    def fail(folder: Path) -> None:
        write_two(folder)
        raise BenchError("no network")

    with pytest.raises(BenchError, match="no network"):
        kept("thing", fail)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_what_nothing_has_used_for_a_month_goes_when_something_is_made(cache):
    month = 31 * 24 * 3600
    for name in ("old", "used"):
        record = kept(name, write_two) / "complete.json"
        then = record.stat().st_mtime - month
        os.utime(record, (then, then))
    kept("used", write_two)
    kept("new", write_two)
    assert sorted(path.name for path in cache.iterdir()) == ["lock", "new", "used"]


def test_of_two_makers_one_waits_and_takes_what_the_other_made(cache):
    both, made = threading.Barrier(2), []

    def make(folder: Path) -> None:
        made.append(folder)
        write_two(folder)

    def ask(_: int) -> Path:
        both.wait()
        return kept("thing", make)

    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(ask, range(2)))) == 1
    assert len(made) == 1


def test_a_cache_that_cannot_be_written_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="set XDG_CACHE_HOME to another folder"):
        kept("thing", write_two)
