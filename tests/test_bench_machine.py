"""What the machine is, whether it is real, and what disturbed it."""

import pytest

from compress.errors import BenchError, UsageError
from compress.settings import Bench
from compress_bench.machine import describe_machine, refuse_emulation
from compress_bench.profiles import choose_profile

PI = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0b

processor\t: 1
Features\t: fp asimd evtstrm crc32 cpuid asimddp i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""
SERVER = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9V74
flags\t\t: fpu sse4_2 avx2 avx512_vnni
"""


def raw(**changes):
    facts = {
        "machine": "x86_64",
        "system": "Linux",
        "kernel": "6.1",
        "processor": "",
        "cores": 2,
        "cpuinfo": SERVER,
        "meminfo": "MemTotal:        8000 kB\n",
        "device_model": "",
        "governor": "",
        "perf_errno": 14,
        "perf_paranoid": True,
        "python": "3.11.2",
        "numpy": "2.0.0",
        "onnxruntime": "1.20.0",
    }
    return facts | changes


def test_a_server_is_described_by_its_model_name():
    found = describe_machine(raw())
    assert found["cpu"] == "AMD EPYC 9V74"
    assert found["isa"] == ["avx2", "avx512_vnni"]
    assert found["memory_bytes"] == 8_192_000
    assert found["governor"] is None and found["emulated"] is False


def test_a_board_is_described_by_core_and_model_and_what_all_cores_can():
    found = describe_machine(
        raw(machine="aarch64", cpuinfo=PI, device_model="Raspberry Pi 5", governor="ondemand")
    )
    assert found["cpu"] == "Cortex-A76 (Raspberry Pi 5)"
    assert found["isa"] == ["asimddp"]
    assert found["governor"] == "ondemand"


@pytest.mark.parametrize(
    "changes",
    [{"perf_errno": 38}, {"machine": "aarch64", "perf_errno": 14, "cpuinfo": SERVER}],
)
def test_an_emulated_machine_is_refused(changes):
    machine = describe_machine(raw(**changes))
    assert machine["emulated"] is True
    with pytest.raises(BenchError, match="emulated"):
        refuse_emulation(machine)


def test_a_kernel_without_perf_events_is_not_taken_for_an_emulator():
    assert describe_machine(raw(perf_errno=38, perf_paranoid=False))["emulated"] is False


def test_a_system_without_proc_is_described_by_what_it_says():
    found = describe_machine(
        raw(system="Darwin", machine="arm64", cpuinfo="", meminfo="", processor="arm")
    )
    assert (found["cpu"], found["memory_bytes"], found["isa"]) == ("arm", None, [])


def test_the_number_of_processes_can_be_set_for_each_profile():
    assert choose_profile(Bench(profile="quick")).processes == 5
    assert choose_profile(Bench(profile="quick", processes=7)).processes == 7
    with pytest.raises(UsageError, match="1 or more"):
        choose_profile(Bench(processes=0))
