"""The core types that can be played, and what Linux would say of each in /proc/cpuinfo.

To add one that qemu knows, add a line to the table.
"""

import os
from dataclasses import dataclass

from compress.errors import UsageError
from compress.suggest import did_you_mean

ARM = "aarch64"
X86 = "x86_64"

# Linux's names, see its Documentation/arch/arm64/elf_hwcaps.rst. A Raspberry Pi's A53 and A72 have
# no cryptography; Armv8.2 brings half precision, atomics and the dot product of int8.
_V8_0 = "fp asimd evtstrm crc32 cpuid"
_V8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
_HASWELL = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 ss syscall nx rdtscp lm constant_tsc nopl cpuid pni pclmulqdq ssse3 fma cx16 pcid sse4_1 "
    "sse4_2 movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm fsgsbase bmi1 avx2 smep "
    "bmi2 erms invpcid xsaveopt"
)


@dataclass(frozen=True)
class Core:
    """A type of processor core.

    Attributes:
        name: in `--target emulate:NAME`.
        label: as people know it.
        architecture: of its programs, as uname has it.
        model: qemu's name of it.
        part: Arm's number of it, as Linux prints it; empty elsewhere.
        features: what it can do, in Linux's words.
        since: the first version of qemu that plays it fully.
    """

    name: str
    label: str
    architecture: str
    model: str
    part: str
    features: str
    since: tuple[int, int] = (4, 0)

    def cpuinfo(self, cores: int) -> str:
        """/proc/cpuinfo of a machine with that many of them."""
        lines = self._arm_lines() if self.architecture == ARM else self._x86_lines()
        blocks = (f"processor\t: {index}\n{lines}\n" for index in range(cores))
        return "".join(blocks)

    def _arm_lines(self) -> str:
        return (
            f"BogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.part}\n"
            "CPU revision\t: 3\n"
        )

    def _x86_lines(self) -> str:
        return (
            "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 60\n"
            f"model name\t: Intel {self.label}\nflags\t\t: {self.features}\n"
        )


CORES = {
    core.name: core
    for core in (
        Core("cortex-a35", "Cortex-A35", ARM, "cortex-a35", "0xd04", _V8_0, (7, 0)),
        Core("cortex-a53", "Cortex-A53", ARM, "cortex-a53", "0xd03", _V8_0),
        Core("cortex-a55", "Cortex-A55", ARM, "cortex-a55", "0xd05", _V8_2, (8, 0)),
        Core("cortex-a57", "Cortex-A57", ARM, "cortex-a57", "0xd07", _V8_0),
        Core("cortex-a72", "Cortex-A72", ARM, "cortex-a72", "0xd08", _V8_0),
        Core("cortex-a76", "Cortex-A76", ARM, "cortex-a76", "0xd0b", _V8_2, (7, 1)),
        Core("neoverse-n1", "Neoverse-N1", ARM, "neoverse-n1", "0xd0c", f"{_V8_2} ssbs", (7, 1)),
        # AVX2 without VNNI: where two int8 products are added in 16 bits. qemu plays AVX since 7.2.
        Core("haswell", "Haswell", X86, "Haswell", "", _HASWELL, (7, 2)),
    )
}


def find_core(name: str) -> Core:
    """A core type by its name.

    Raises:
        UsageError: it is not in the table.
    """
    if name not in CORES:
        raise UsageError(f"emulate:{name}: no such core type; {did_you_mean(name, CORES)}")
    return CORES[name]


def cores_here() -> int:
    """How many cores the played machine has: as many as this one, whose /sys it shows."""
    return os.cpu_count() or 1
