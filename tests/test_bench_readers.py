"""What boards show of themselves: firmware, clocks, warmth, limits, in their vendors' formats."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from board_files import PMIC, PMIC_WATTS, install_vcgencmd, write_tree
from compress_bench import examiner, runner
from compress_bench.measure.bed import throttled

FIRMWARE = {
    "get_throttled": "throttled=0x50005",
    "measure_temp": "temp=48.3'C",
    "measure_clock arm": "frequency(0)=1500398464",
    "pmic_read_adc": PMIC,
}


@pytest.fixture
def raspberry(monkeypatch, tmp_path):
    install_vcgencmd(monkeypatch, tmp_path / "bin", FIRMWARE)


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


# ------------------------------------------------------------------------- Raspberry Pi's firmware


@pytest.mark.usefixtures("raspberry")
def test_the_firmwares_throttling_temperature_and_clock_are_read_from_vcgencmd(tmp_path):
    assert runner.firmware_throttled(str(tmp_path)) == 0x50005
    assert runner.firmware_celsius() == 48.3
    assert runner.firmware_khz() == 1_500_398.464


@pytest.mark.usefixtures("elsewhere")
def test_a_machine_without_vcgencmd_has_no_firmware_to_ask(tmp_path):
    assert runner.firmware_throttled(str(tmp_path)) is None
    assert runner.firmware_celsius() is None
    assert runner.firmware_khz() is None


@pytest.mark.parametrize("answers, status", [({}, 0), (FIRMWARE, 255)])
def test_a_firmware_that_refuses_gives_no_number(monkeypatch, tmp_path, answers, status):
    install_vcgencmd(monkeypatch, tmp_path / "bin", answers, status)
    assert runner.firmware_throttled(str(tmp_path)) is None
    assert runner.firmware_celsius() is None
    assert runner.find_meter(str(tmp_path))[0] is None


@pytest.mark.parametrize("folder", ["soc/soc", "soc@107c000000/soc@107c000000"])
@pytest.mark.usefixtures("elsewhere")
def test_the_kernels_own_file_of_throttling_is_hexadecimal_without_a_sign(tmp_path, folder):
    write_tree(tmp_path, {f"sys/devices/platform/{folder}:firmware/get_throttled": "80008"})
    assert runner.firmware_throttled(str(tmp_path)) == 0x80008


@pytest.mark.usefixtures("raspberry")
def test_a_state_between_rounds_holds_what_the_firmware_says_now_and_not_what_was():
    assert runner.system_state()["firmware_throttled"] == 0x5


@pytest.mark.usefixtures("elsewhere")
def test_a_state_of_a_machine_without_a_firmware_says_nothing_of_throttling():
    assert runner.system_state()["firmware_throttled"] is None


def test_how_often_cores_were_slowed_is_their_sum_and_unknown_where_nothing_counts(tmp_path):
    assert runner.throttle_count(str(tmp_path)) is None
    cores = "sys/devices/system/cpu"
    for core, times in (("cpu0", 2), ("cpu11", 3)):
        write_tree(tmp_path, {f"{cores}/{core}/thermal_throttle/core_throttle_count": times})
    assert runner.throttle_count(str(tmp_path)) == 5


@pytest.mark.parametrize(
    "counts, firmware, slowed",
    [
        ((None, None), (None, None), False),
        ((4, 4), (None, 0), False),
        ((4, 5), (None, None), True),
        ((None, None), (0, 4), True),
    ],
)
def test_only_a_machine_that_tells_of_throttling_was_throttled(counts, firmware, slowed):
    states = [
        {"throttle_count": count, "firmware_throttled": bits}
        for count, bits in zip(counts, firmware, strict=True)
    ]
    assert throttled(states) is slowed


def test_power_is_volts_times_amperes_of_the_rails_that_have_both():
    assert runner.pmic_watts(PMIC) == pytest.approx(PMIC_WATTS)
    assert runner.pmic_watts("     EXT5V_V volt(24)=5.06788000V") is None


@pytest.mark.usefixtures("raspberry")
def test_a_raspberry_pi_5s_energy_is_the_mean_power_of_its_rails_over_the_time(tmp_path):
    meter, why = runner.find_meter(str(tmp_path))
    assert why == ""
    meter.begin()
    meter.sample()
    meter.sample()
    assert meter.joules(2.0) == pytest.approx(2 * PMIC_WATTS)
    meter.end()
    assert "PMIC" in meter.source and "USB" in meter.source


@pytest.mark.usefixtures("raspberry")
def test_a_run_longer_than_a_reading_has_the_energy_of_its_time(tmp_path):
    meter, _ = runner.find_meter(str(tmp_path))
    taken = []

    def run():
        taken.append(runner.timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True)))

    found, why = runner.measure_joules(run, meter, seconds=1e-9)
    assert why == ""
    assert found >= PMIC_WATTS * taken[0]  # its time is taken from outside, and once more


@pytest.mark.usefixtures("raspberry")
def test_a_firmware_that_hangs_costs_its_energy_and_leaves_no_process(monkeypatch, tmp_path):
    meter, _ = runner.find_meter(str(tmp_path))
    monkeypatch.setattr(runner, "FIRMWARE_SECONDS", 0.2)
    (tmp_path / "bin/vcgencmd").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60")
    found, why = runner.measure_joules(lambda: None, meter, seconds=60)
    assert found is None and "pmic_read_adc" in why
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.usefixtures("raspberry")
def test_an_inference_that_fails_leaves_no_reading_behind(tmp_path):
    def fail():
        raise RuntimeError

    meter, _ = runner.find_meter(str(tmp_path))
    with pytest.raises(RuntimeError):
        runner.measure_joules(fail, meter, seconds=1.0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# --------------------------------------------------------------------------- cpufreq, thermal zones


def test_clocks_and_governors_are_those_of_each_core_in_their_own_order(tmp_path):
    files = {}
    for core, khz in ((0, 1_800_000), (4, 2_400_000), (10, 2_400_000)):
        folder = f"sys/devices/system/cpu/cpu{core}"
        files |= {
            f"{folder}/cpufreq/cpuinfo_max_freq": khz,
            f"{folder}/cpufreq/cpuinfo_min_freq": 600_000,
            f"{folder}/cpufreq/scaling_max_freq": 1_500_000,
            f"{folder}/cpufreq/scaling_cur_freq": 1_000_000,
            f"{folder}/cpufreq/scaling_governor": "schedutil",
            f"{folder}/cpu_capacity": 485,
        }
    files["sys/devices/system/cpu/cpu10/online"] = 0
    files["sys/devices/system/cpu/cpufreq/boost"] = 1
    found = examiner.read_cpus(write_tree(tmp_path, files))
    assert [core["cpu"] for core in found] == [0, 4, 10]
    assert [core["online"] for core in found] == [True, True, False]
    assert found[1] == {
        "cpu": 4,
        "online": True,
        "max_khz": 2_400_000,
        "min_khz": 600_000,
        "limit_khz": 1_500_000,
        "khz": 1_000_000,
        "governor": "schedutil",
        "capacity": 485,
    }


def test_a_core_without_cpufreq_has_no_clock(tmp_path):
    (tmp_path / "sys/devices/system/cpu/cpu0").mkdir(parents=True)
    (core,) = examiner.read_cpus(tmp_path)
    assert core["max_khz"] is None and core["governor"] is None


def test_zones_have_kind_degrees_and_the_points_where_the_kernel_acts(tmp_path):
    zone = "sys/class/thermal/thermal_zone0"
    files = {
        f"{zone}/type": "cpu-thermal",
        f"{zone}/temp": 51_500,
        f"{zone}/trip_point_0_type": "critical",
        f"{zone}/trip_point_0_temp": 110_000,
        f"{zone}/trip_point_1_type": "active",
        f"{zone}/trip_point_1_temp": 50_000,
        f"{zone}/trip_point_2_type": "active",
        f"{zone}/trip_point_2_temp": 60_000,
        f"{zone}/trip_point_3_type": "hot",
        f"{zone}/trip_point_3_temp": -274_000,
        "sys/class/thermal/thermal_zone1/type": "asleep",
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": 1,
        "sys/class/thermal/cooling_device0/max_state": 4,
    }
    write_tree(tmp_path, files)
    trips = {"critical": 110.0, "active": 50.0}
    assert examiner.read_zones(tmp_path) == [
        {"type": "cpu-thermal", "celsius": 51.5, "trips": trips},
        {"type": "asleep", "celsius": None, "trips": {}},
    ]
    assert examiner.read_cooling(tmp_path) == [{"type": "pwm-fan", "state": 1, "most": 4}]


# ------------------------------------------------------------------------- memory, limits, pressure


def test_memory_is_in_bytes_and_what_the_kernel_leaves_out_is_none(tmp_path):
    text = "MemTotal:        8000 kB\nMemAvailable:    6000 kB\nSwapTotal:       100 kB\n"
    write_tree(tmp_path, {"proc/meminfo": text})
    assert examiner.read_memory(tmp_path) == {
        "total_bytes": 8_192_000,
        "available_bytes": 6_144_000,
        "swap_total_bytes": 102_400,
        "swap_free_bytes": None,
    }


def test_the_tightest_limit_of_a_group_and_those_above_it_holds(tmp_path):
    files = {
        "proc/self/cgroup": "0::/system.slice/docker-1.scope",
        "sys/fs/cgroup/cpu.max": "max 100000",
        "sys/fs/cgroup/system.slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/system.slice/memory.max": 500_000_000,
        "sys/fs/cgroup/system.slice/memory.current": 480_000_000,
        "sys/fs/cgroup/system.slice/memory.stat": "anon 1\ninactive_file 30000000\nslab 2",
        "sys/fs/cgroup/system.slice/docker-1.scope/cpu.max": "150000 100000",
        "sys/fs/cgroup/system.slice/docker-1.scope/memory.max": "max",
    }
    found = examiner.read_limits(write_tree(tmp_path, files))
    # Files that are read no more, 30 MB, are taken back where memory is needed.
    assert found == {
        "cores": 1.5,
        "memory_bytes": 500_000_000,
        "memory_left_bytes": 50_000_000,
        "container": False,
    }


def test_memory_that_can_be_had_is_below_a_containers_limit(tmp_path):
    assert examiner.available_bytes(tmp_path) is None
    write_tree(tmp_path, {"proc/meminfo": "MemTotal: 8000 kB\nMemAvailable: 6000 kB"})
    assert examiner.available_bytes(tmp_path) == 6_144_000
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": 4_000_000,
        "sys/fs/cgroup/memory.current": 1_000_000,
    }
    assert examiner.available_bytes(write_tree(tmp_path, files)) == 3_000_000


def test_groups_of_version_1_are_read_too_and_their_none_is_none(tmp_path):
    files = {
        "proc/self/cgroup": "4:memory:/a\n1:cpu,cpuacct:/a",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": 50_000,
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": 100_000,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": -1,
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": 9_223_372_036_854_771_712,
        ".dockerenv": "",
    }
    found = examiner.read_limits(write_tree(tmp_path, files))
    assert (found["cores"], found["memory_bytes"]) == (0.5, None)
    assert found["memory_left_bytes"] is None and found["container"] is True


def test_pressure_is_the_share_of_the_last_ten_seconds(tmp_path):
    text = "some avg10=12.50 avg60=4.00 avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00"
    write_tree(tmp_path, {"proc/pressure/cpu": text})
    assert examiner.read_pressure(tmp_path) == {"cpu": 0.125, "memory": None, "io": None}


def test_a_program_that_computes_is_seen_with_its_share_of_a_core():
    code = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            found = {one["pid"]: one for one in examiner.read_busy(Path("/"), 0.3)}
        finally:
            other.kill()
    assert found[other.pid]["cores"] >= examiner.BUSY_LEAST
    assert found[other.pid]["name"].startswith("python")


def test_an_empty_system_shows_nothing_and_nothing_fails(tmp_path):
    assert examiner.read_cpus(tmp_path) == []
    assert examiner.read_zones(tmp_path) == []
    assert examiner.read_cooling(tmp_path) == []
    limits = dict.fromkeys(("cores", "memory_bytes", "memory_left_bytes"))
    assert examiner.read_limits(tmp_path) == limits | {"container": False}
    assert set(examiner.read_memory(tmp_path).values()) == {None}
    assert examiner.read_os_release(tmp_path) == ""
    assert examiner.read_busy(tmp_path, 0.0) == []


def test_musl_is_known_by_its_loader_where_python_names_no_c_library(tmp_path, monkeypatch):
    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(examiner.os, "confstr", unknown)
    write_tree(tmp_path, {"lib/ld-musl-aarch64.so.1": "", "etc/os-release": 'PRETTY_NAME="Alpine"'})
    assert examiner.read_libc(tmp_path) == {"name": "musl", "version": ""}
    assert examiner.read_os_release(tmp_path) == "Alpine"
