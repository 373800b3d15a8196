"""What the measured machine is, read from the runner's raw facts.

Python 3.8 and the standard library alone: the packed file names a board with it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from compress.errors import BenchError

# What decides how fast int8 is, and on x86 also its results.
ISA = ("avx2", "avx512_vnni", "avx_vnni", "asimddp", "i8mm")
ENOSYS = 38

_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
}


def describe_machine(raw: Mapping[str, Any]) -> Dict[str, Any]:
    """The report's `machine`, from the runner's hello and machine events."""
    return {
        "machine": raw["machine"],
        "cpu": cpu_name(raw),
        "cores": raw["cores"],
        "memory_bytes": memory_bytes(raw["meminfo"]),
        "kernel": f"{raw['system']} {raw['kernel']}",
        "python": raw["python"],
        "numpy": raw["numpy"],
        "onnxruntime": raw["onnxruntime"],
        "isa": isa(raw["cpuinfo"]),
        "governor": raw["governor"] or None,
        "emulated": is_emulated(raw),
        **{name: said for name, said in raw.get("runtimes", {}).items() if name != "onnxruntime"},
    }


def cpu_name(raw: Mapping[str, Any]) -> str:
    """A processor's name that a person knows, with the board's where there is one."""
    cpuinfo = raw["cpuinfo"]
    parts = dict.fromkeys(_fields(cpuinfo, "CPU part"))  # big.LITTLE has two
    cores = " + ".join(_ARM_PARTS.get(part, f"ARM part {part}") for part in parts)
    name = (_fields(cpuinfo, "model name") or [cores])[0] or raw["processor"] or raw["machine"]
    return f"{name} ({raw['device_model']})" if raw["device_model"] else str(name)


def _fields(cpuinfo: str, name: str) -> List[str]:
    return [v.strip() for v in re.findall(rf"(?m)^{re.escape(name)}\s*:(.*)$", cpuinfo)]


def memory_bytes(meminfo: str) -> Optional[int]:
    """The machine's memory; None where the system does not say."""
    match = re.search(r"MemTotal:\s*(\d+) kB", meminfo)
    return int(match[1]) * 1024 if match else None


def isa(cpuinfo: str) -> List[str]:
    """Those of `ISA` that every core has."""
    cores = [set(line.split()) for line in _fields(cpuinfo, "flags") + _fields(cpuinfo, "Features")]
    return [name for name in ISA if cores and all(name in core for core in cores)]


def is_emulated(raw: Mapping[str, Any]) -> bool:
    """Whether this processor is played by another one.

    Two signs: the kernel has perf events, yet the call is unknown (qemu does not pass it on); an
    ARM machine whose cpuinfo is an x86 one's.
    """
    unknown_call = raw["perf_errno"] == ENOSYS and raw["perf_paranoid"]
    foreign = raw["machine"] in ("aarch64", "armv7l") and "vendor_id" in raw["cpuinfo"]
    return bool(unknown_call or foreign)


def refuse_emulation(machine: Mapping[str, Any]) -> None:
    """Emulated time says nothing about any machine.

    Raises:
        BenchError: the machine is emulated.
    """
    if machine["emulated"]:
        target = machine.get("target", "local")
        where = "this machine" if target == "local" else target
        raise BenchError(
            f"{where} ({machine['machine']}, {machine['cpu']}) is emulated, so its times "
            "would mean nothing; expected real hardware: run compress bench on the board itself"
        )
