"""The doctor: what it finds on a machine, why that matters, and what to do."""

import json
import sys

import pytest

from board_files import write_tree
from compress.cli import main
from compress.errors import BenchError
from compress.flags import Output
from compress.show import finish_doctor
from compress_bench.doctor import WORST_FIRST, Finding, check_names, diagnose, load_check
from compress_bench.doctor.checks import (
    cores,
    counters,
    disk,
    emulation,
    governor,
    isa,
    limits,
    memory,
    numpy_import,
    onnxruntime_import,
    other_work,
    python,
    temperature,
    throttling,
    userland,
)
from compress_bench.doctor.checks import known_pairs as pairs
from compress_bench.doctor.examining import EXAMINER, describe, examine
from compress_bench.doctor.pairs import PAIRS
from compress_bench.doctor.recipe import content
from compress_bench.doctor.terminal import render_doctor
from compress_bench.doctor.versions import within
from compress_bench.jobs.files import files_of, put_elsewhere
from compress_bench.targets import Place, local
from needs import needs_program

A76 = "processor\t: {}\nFeatures\t: fp asimd crc32 atomics asimddp\nCPU part\t: 0xd0b\n\n"
A72 = "processor\t: {}\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd08\n\n"
FAST = {"capacity": 1024, "max_khz": 2_400_000}
SLOW = {"capacity": 485, "max_khz": 1_800_000}


def core(number, **changes):
    kind = {"limit_khz": None, "min_khz": 600_000, "khz": 1_000_000, "online": True}
    return {"cpu": number, "governor": "performance"} | kind | FAST | changes


def limited(**changes):
    """What a container allows: all, but for what is named."""
    unlimited = dict.fromkeys(("cores", "memory_bytes", "memory_left_bytes"))
    return unlimited | {"container": False} | changes


def raw(**changes):
    """A healthy Raspberry Pi 5, as the runner tells of it."""
    fields = {
        "machine": "aarch64",
        "system": "Linux",
        "kernel": "6.12",
        "processor": "",
        "cores": 4,
        "cpuinfo": "".join(A76.format(number) for number in range(4)),
        "meminfo": "MemTotal:        8000000 kB\n",
        "device_model": "Raspberry Pi 5",
        "governor": "performance",
        "perf_errno": 14,
        "perf_paranoid": True,
        "counter_reason": "",
        "meter": "PMIC",
        "meter_reason": "",
        "state": {"load": 0.1},
        "firmware": {"throttled": 0, "celsius": 48.0, "khz": 2.4e6},
        "busy": [],
        "python": {
            "version": "3.11.2",
            "implementation": "CPython",
            "bits": 64,
            "managed": False,
            "executable": "/usr/bin/python3",
        },
        "libc": {"name": "glibc", "version": "2.36"},
        "system_name": "Debian GNU/Linux 12",
        "packages": {
            "numpy": "2.4.6",
            "onnxruntime": "1.32.0",
            "pip": "23.0.1",
            "wheels": {"onnxruntime": "1.32.0"},
            "tags": ["cp311-cp311-manylinux_2_28_aarch64"],
        },
        "imports": {
            "numpy": {"ok": True, "version": "2.4.6", "words": ""},
            "onnxruntime": {"ok": True, "version": "1.32.0", "words": ""},
        },
        "cpus": [core(number) for number in range(4)],
        "cpu_lists": {"possible": "0-3", "present": "0-3"},
        "memory": {
            "total_bytes": 8 << 30,
            "available_bytes": 7 << 30,
            "swap_total_bytes": 512 << 20,
            "swap_free_bytes": 512 << 20,
        },
        "disk": {"temporary": {"path": "/tmp", "free_bytes": 9 << 30, "writable": True}},
        "limits": limited(),
        "zones": [{"type": "cpu-thermal", "celsius": 48.0, "trips": {"critical": 110.0}}],
        "cooling": [],
        "pressure": {"cpu": 0.0, "memory": 0.0, "io": 0.0},
    }
    return fields | changes


def facts(emulates=None, **changes):
    return {**describe(raw(**changes), "ssh://pi@board"), "emulates": emulates}


# ----------------------------------------------------------------------------------- all checks


def test_a_healthy_board_has_nothing_that_warns():
    found = diagnose(facts())
    assert {name: one.status for name, one in found.items() if one.status != "ok"} == {}
    assert {"python", "cores", "throttling", "energy"} <= found.keys()


@pytest.mark.parametrize("name", check_names())
def test_a_check_gives_a_finding_of_known_status_or_nothing(name):
    check = load_check(name)
    assert isinstance(check.NEEDS_HARDWARE, bool)
    found = check.check(facts())
    assert found is None or found.status in WORST_FIRST


def test_an_emulated_core_is_not_asked_for_warmth_clock_or_memory():
    found = diagnose(facts(emulates="cortex-a76", zones=[], cpus=[], busy=[{"name": "x"}]))
    imported = {"numpy_import", "onnxruntime_import", "known_pairs"}
    assert found.keys() == imported | {"emulation", "isa", "python", "userland"}


def test_findings_come_with_the_worst_first():
    tight = limited(cores=1.5, memory_bytes=64 << 20, memory_left_bytes=32 << 20)
    silent = {"throttled": None, "celsius": None, "khz": None}
    found = diagnose(facts(limits=tight, zones=[], firmware=silent))
    statuses = [one.status for one in found.values()]
    assert statuses == sorted(statuses, key=WORST_FIRST.index)
    assert statuses[0] == "fail" and "unknown" in statuses


# --------------------------------------------------------------------------- what stops a bench


def interpreter(**changes):
    return raw()["python"] | changes


def test_python_3_8_is_told_where_its_wheels_end():
    found = python.check(facts(python=interpreter(version="3.8.10")))
    assert found.status == "warn" and "end at 1.19.2" in found.why


def test_python_3_7_is_too_old():
    assert python.check(facts(python=interpreter(version="3.7.3"))).status == "fail"


BROKEN = {"ok": False, "message": "ImportError: no", "words": ""}


def imports(**changes):
    return raw()["imports"] | changes


def test_a_32_bit_system_on_a_64_bit_kernel_is_told_from_a_32_bit_processor():
    small = interpreter(bits=32)
    found = userland.check(facts(python=small, imports={}))
    assert found.status == "fail" and "on a 64-bit kernel (aarch64)" in found.found
    found = userland.check(facts(python=small, machine="armv7l", imports={}))
    assert found.status == "fail" and "(armv7l)" in found.found


def test_a_system_that_pypi_has_no_wheels_for_is_fine_once_onnxruntime_was_built_there():
    found = userland.check(facts(libc={"name": "musl", "version": ""}))
    assert found.status == "ok" and "built" in found.found


@pytest.mark.parametrize(
    "libc", [{"name": "musl", "version": ""}, {"name": "glibc", "version": "2.19"}]
)
def test_a_c_library_without_wheels_stops_the_install(libc):
    assert userland.check(facts(libc=libc, imports={})).status == "fail"


def packages(**changes):
    return raw()["packages"] | changes


def test_a_missing_library_comes_with_the_pip_command_of_that_python():
    found = numpy_import.check(facts(packages=packages(numpy=None)))
    assert found.status == "fail"
    assert found.what_to_do == "/usr/bin/python3 -m pip install numpy"


def test_a_python_that_the_system_manages_gets_an_environment_of_its_own():
    found = numpy_import.check(
        facts(packages=packages(numpy=None), python=interpreter(managed=True))
    )
    assert found.what_to_do == (
        "/usr/bin/python3 -m venv ~/bench && ~/bench/bin/python3 -m pip install numpy onnxruntime; "
        "then ssh://...?python=~/bench/bin/python3"
    )


def test_a_pip_that_cannot_see_todays_wheels_is_replaced_first():
    found = onnxruntime_import.check(facts(packages=packages(onnxruntime=None, pip="20.0.2")))
    assert "pip install --upgrade pip, for 20.0.2 finds no new wheels" in found.what_to_do


def test_two_wheels_of_onnxruntime_overwrite_each_other():
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.30.0"}
    found = onnxruntime_import.check(facts(packages=packages(wheels=both)))
    assert found.status == "warn" and "uninstall onnxruntime onnxruntime-gpu" in found.what_to_do


ILLEGAL = {"ok": False, "signal": "SIGILL", "words": ""}


def test_onnxruntime_1_21_0_without_dot_products_is_named_as_a_known_bad_pair():
    changes = {
        "cpuinfo": A72.format(0),
        "packages": packages(onnxruntime="1.21.0"),
        "imports": imports(onnxruntime=ILLEGAL),
    }
    assert "illegal instruction" in onnxruntime_import.check(facts(**changes)).why
    found = pairs.check(facts(**changes))
    assert found.status == "fail" and "1.21.0" in found.found
    assert "23957" in found.why and "!=1.21.0" in found.what_to_do

    found = pairs.check(facts("cortex-a72", **changes))
    assert found.what_to_do == "take another version: emulate:cortex-a72?onnxruntime=1.22.0"


def test_the_same_version_is_no_bad_pair_with_dot_products():
    changes = {"packages": packages(onnxruntime="1.21.0"), "imports": imports(onnxruntime=ILLEGAL)}
    assert pairs.check(facts(**changes)).found == "none of the 4 that are known"


def test_what_imports_here_is_not_said_to_be_impossible():
    changes = {"packages": packages(onnxruntime="1.18.0")}  # with NumPy 2
    assert pairs.check(facts(**changes)).status == "ok"
    found = pairs.check(facts(**changes, imports=imports(onnxruntime=BROKEN)))
    assert found.status == "fail" and "NumPy 2" in found.found


def test_hidden_processors_are_a_bad_pair_only_where_the_import_died():
    hidden = {"possible": "", "present": ""}
    assert pairs.check(facts(cpu_lists=hidden)).status == "ok"
    found = pairs.check(facts(cpu_lists=hidden, imports=imports(onnxruntime=BROKEN)))
    assert "/sys/devices/system/cpu/possible" in found.found


def test_an_old_onnxruntime_is_told_how_to_export_for_it():
    changes = {"packages": packages(onnxruntime="1.13.1", numpy="1.26.4")}
    found = pairs.check(facts(**changes))
    assert found.status == "warn" and "--min-runtime" in found.what_to_do


def test_every_known_pair_has_a_source():
    assert all(pair.source.startswith("https://") for pair in PAIRS)


@pytest.mark.parametrize(
    "version, inside", [("1.9.0", False), ("1.21.0", True), ("1.21.1", False), (None, False)]
)
def test_versions_are_compared_as_numbers(version, inside):
    assert within(version, "1.21.0", "1.21.1") is inside


def test_memory_within_a_containers_limit_is_what_counts():
    tight = limited(memory_bytes=512 << 20, memory_left_bytes=32 << 20)
    found = memory.check(facts(limits=tight))
    assert found.status == "fail" and found.found == "32 MiB available of 512"


def test_a_folder_that_may_not_be_written_stops_a_bench():
    shut = {"cache": {"path": "/home/pi", "free_bytes": 9 << 30, "writable": False}}
    assert disk.check(facts(disk=shut)).status == "fail"
    full = {"cache": {"path": "/home/pi", "free_bytes": 1 << 20, "writable": True}}
    assert disk.check(facts(disk=full)).status == "fail"


def test_an_emulated_processor_is_refused_unless_it_was_asked_for():
    assert emulation.check(facts(perf_errno=38)).status == "fail"
    assert emulation.check(facts(emulates="cortex-a72", perf_errno=38)).status == "ok"


# ---------------------------------------------------------------------------- what disturbs one


def test_cores_of_two_kinds_are_told_with_the_command_that_pins_the_fast_ones():
    mixed = [core(0, **SLOW), core(1, **SLOW), core(2), core(3)]
    found = cores.check(facts(cpus=mixed))
    assert found.status == "warn"
    assert found.found.endswith("2 cores of up to 2.4 GHz and 2 cores of up to 1.8 GHz")
    assert "--threads 2" in found.what_to_do and "taskset -c 2,3 " in found.what_to_do


def test_turbo_clocks_that_differ_a_little_are_one_kind_of_core():
    alike = [core(0, capacity=None, max_khz=5_200_000), core(1, capacity=None, max_khz=5_000_000)]
    assert cores.check(facts(cpus=alike)).status == "ok"


def test_a_governor_that_lets_the_clock_wander_is_told_how_to_stop_it():
    found = governor.check(facts(cpus=[core(0), core(1, governor="ondemand")]))
    assert found.status == "warn" and "ondemand" in found.found
    assert "echo performance | sudo tee" in found.what_to_do


def test_a_clock_that_was_limited_is_told_with_both_numbers():
    found = governor.check(facts(cpus=[core(0, limit_khz=1_500_000)]))
    assert found.found == "a clock limited to 1.50 of 2.40 GHz"


def test_a_machine_without_cpufreq_is_unknown_and_not_fine():
    found = governor.check(facts(cpus=[core(0, governor=None)]))
    assert found.status == "unknown"


def test_a_raspberry_pi_that_lacked_voltage_is_told_to_change_its_supply():
    found = throttling.check(facts(firmware={"throttled": 0x50005, "celsius": 48.0, "khz": 1.5e6}))
    assert found.status == "warn" and "power supply" in found.what_to_do
    assert found.found.startswith(
        "under-voltage, throttled now; under-voltage, throttled since it was switched on"
    )


def test_a_board_of_another_kind_is_not_asked_about_its_firmware():
    assert throttling.check(facts(firmware={"throttled": None})) is None


def test_a_processor_near_the_kernels_limit_is_too_warm_to_begin():
    zones = [{"type": "cpu-thermal", "celsius": 62.0, "trips": {"passive": 70.0}}]
    assert temperature.check(facts(zones=zones)).status == "warn"
    zones[0]["trips"] = {"active": 50.0, "critical": 110.0}  # a fan's point is no limit
    assert temperature.check(facts(zones=zones)).status == "ok"


def test_a_processor_that_is_being_slowed_is_told_and_a_fan_at_work_is_not():
    fan = {"type": "pwm-fan", "state": 2, "most": 4}
    slowed = {"type": "cpufreq-cpu0", "state": 1, "most": 3}
    assert temperature.check(facts(cooling=[fan])).status == "ok"
    assert "cpufreq-cpu0" in temperature.check(facts(cooling=[fan, slowed])).found


def test_each_zone_is_held_against_its_own_limit():
    battery = {"type": "battery", "celsius": 30.0, "trips": {"passive": 45.0}}
    processor = {"type": "cpu-thermal", "celsius": 50.0, "trips": {"passive": 95.0}}
    assert temperature.check(facts(zones=[battery, processor])).status == "ok"
    found = temperature.check(facts(zones=[battery | {"celsius": 40.0}, processor]))
    assert found.status == "warn" and found.found == "40 °C (battery), limit 45 °C"


def test_what_a_machine_does_not_say_comes_with_a_reason_and_what_to_do():
    silent = {"throttled": None, "celsius": None, "khz": None}
    unmetered = {"meter": "", "meter_reason": "no meter", "counter_reason": "no counter"}
    clockless = [core(0, governor=None)]
    found = diagnose(facts(zones=[], firmware=silent, cpus=clockless, **unmetered))
    unknown = {name: one for name, one in found.items() if one.status == "unknown"}
    assert unknown.keys() == {"counters", "energy", "governor", "temperature"}
    assert all(one.why and one.what_to_do for one in unknown.values())


def test_without_zones_the_firmwares_temperature_is_taken():
    found = temperature.check(facts(zones=[]))
    assert found.status == "ok" and "48 °C (the firmware)" in found.found


def test_a_quota_of_cpu_time_shows_in_the_slowest_inferences():
    found = limits.check(facts(limits=limited(cores=1.5)))
    assert found.status == "warn" and "a quota of 1.5 of 4 cores" in found.found


def test_other_programs_are_named_with_what_they_take():
    found = other_work.check(facts(busy=[{"name": "chromium", "cores": 0.42}]))
    assert found.found == "other programs: chromium 42 % of a core"


def test_a_refused_counter_comes_with_the_command_that_allows_it():
    found = counters.check(facts(counter_reason="the kernel refuses; perf_event_paranoid=2 ..."))
    assert found.status == "warn" and "sudo sysctl" in found.what_to_do


def test_int8_is_said_to_gain_little_without_dot_products():
    assert isa.check(facts()).status == "ok"
    assert isa.check(facts(cpuinfo=A72.format(0))).status == "warn"


def test_avx2_without_vnni_is_said_to_saturate():
    haswell = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2\n"
    found = isa.check(facts(machine="x86_64", cpuinfo=haswell))
    assert found.status == "warn" and "saturate" in found.why
    vnni = haswell.replace("avx2", "avx2 avx512_vnni")
    assert isa.check(facts(machine="x86_64", cpuinfo=vnni)).status == "ok"


# ------------------------------------------------------------------------- the runner, the command

JOB = {"kind": "examine", "models": [], "runtimes": {}, "examiner": EXAMINER, "busy_seconds": 0.0}


def test_the_file_that_looks_goes_where_the_runner_runs():
    moved = put_elsewhere(JOB, lambda path: f"/there/{path.name}")
    assert moved["examiner"] == "/there/examiner.py"
    assert [str(path) for path in files_of(JOB)] == [EXAMINER]


def bare_python(job):
    """The runner in a Python that sees no installed package but those of PYTHONPATH."""
    yield from local.stream_command([sys.executable, "-S", "-P", local.RUNNER], job)


def test_a_machine_without_numpy_and_onnxruntime_is_examined_all_the_same(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = diagnose(examine(Place("ssh://pi@board", bare_python)))
    missing = {name for name, one in found.items() if "is not installed" in one.found}
    assert missing == {"numpy_import", "onnxruntime_import"}


def test_an_illegal_instruction_on_import_costs_a_child_and_is_told(monkeypatch, tmp_path):
    dying = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"
    files = {"numpy/__init__.py": "__version__ = '1.26.4'", "onnxruntime/__init__.py": dying}
    for name, version in (("numpy", "1.26.4"), ("onnxruntime", "1.21.0")):
        files[f"{name}-{version}.dist-info/METADATA"] = f"Name: {name}\nVersion: {version}"
    monkeypatch.setenv("PYTHONPATH", str(write_tree(tmp_path, files)))
    told = examine(Place("ssh://pi@board", bare_python))
    assert told["imports"]["numpy"]["version"] == "1.26.4"
    assert told["imports"]["onnxruntime"]["signal"] == "SIGILL"
    assert told["packages"]["onnxruntime"] == "1.21.0"


def test_this_machine_is_described_as_in_a_report(capsys):
    assert main(["doctor", "--json"]) == 0  # it runs these tests
    told = json.loads(capsys.readouterr().out)
    assert told["target"] == "local" and told["machine"]["cores"] >= 1
    by_name = {finding["check"]: finding for finding in told["findings"]}
    assert by_name["onnxruntime_import"]["status"] == "ok"
    assert told["status"] == told["findings"][0]["status"]
    assert told["readings"]["memory"]["total_bytes"] == told["machine"]["memory_bytes"]


def test_a_runner_that_tells_nothing_is_an_error_with_the_targets_name():
    def silent(job):
        yield {"event": "hello"}

    with pytest.raises(BenchError, match="ssh://pi@board: expected the runner's facts"):
        examine(Place("ssh://pi@board", silent))


@needs_program("qemu-x86_64", package="qemu-user")
def test_an_emulated_haswell_is_told_that_it_saturates(capsys):
    assert main(["doctor", "emulate:haswell", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    told = {one["check"]: one for one in content["findings"]}
    assert told["isa"]["status"] == "warn" and "saturate" in told["isa"]["why"]
    assert told["onnxruntime_import"]["status"] == "ok"
    assert "memory" not in told and "cores" not in told
    machine, readings = content["machine"], content["readings"]
    assert machine["emulates"] == "haswell" and machine["emulator"].startswith("qemu ")
    assert machine["memory_bytes"] is machine["cores"] is None
    assert readings["memory"] is readings["cpus"] is readings["busy"] is None
    assert "seconds" not in readings["imports"]["numpy"]


def test_a_machine_that_cannot_be_reached_ends_in_1_with_the_reason(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # neither qemu nor ssh
    assert main(["doctor", "emulate:cortex-a72"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("emulate:cortex-a72: not reached")
    assert "expected qemu-aarch64 on PATH, found none" in said.err


def test_without_its_findings_an_impossible_bench_comes_with_the_first_ones_reason():
    without = packages(numpy=None, onnxruntime=None)
    told = content("ssh://pi@board", facts(), diagnose(facts(packages=without)))
    with pytest.raises(BenchError) as caught:
        finish_doctor(told, Output(quiet=True))
    assert str(caught.value) == (
        "ssh://pi@board: expected a machine to bench on, found: numpy is not installed; the "
        "runner needs it; /usr/bin/python3 -m pip install numpy (and see onnxruntime_import)"
    )


def test_an_unknown_kind_of_machine_is_a_usage_error(capsys):
    assert main(["doctor", "serial:board"]) == 2
    assert "serial" in capsys.readouterr().err


def test_what_people_read_has_a_finding_its_reason_and_what_to_do_on_lines_of_their_own(capsys):
    from rich.console import Console

    finding = Finding(status="warn", found="ondemand", why="it wanders", what_to_do="echo x")
    told = content("local", facts(), {"governor": finding})
    render_doctor(told, Console(file=sys.stdout, highlight=False))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "local: Cortex-A76 (Raspberry Pi 5), 4 cores, 7.6 GiB, Linux 6.12"
    assert [line.strip() for line in lines[1:]] == [
        "warn    governor: ondemand", "it wanders", "echo x",
    ]  # fmt: skip
