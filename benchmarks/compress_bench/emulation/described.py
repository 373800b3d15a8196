"""What an emulated core is said to be, without what its programs see of the host."""

from collections.abc import Mapping
from typing import Any

from compress_bench.emulation.cores import find_core
from compress_bench.emulation.emulator import find_emulator


def played(machine: Mapping[str, Any], core: str) -> dict[str, Any]:
    """The `machine` of an emulated core: memory, cores, clock and kernel would be the host's.

    Args:
        machine: from `describe_machine`.
        core: which is played, as cortex-a72.
    """
    emulator = find_emulator(find_core(core))
    return dict(machine) | {
        "emulated": True,
        "emulates": core,
        "emulator": f"qemu {emulator.version}",
        "memory_bytes": None,
        "cores": None,
        "kernel": None,
        "governor": None,
    }
