"""Whether PyPI has wheels for this system: its bits and its C library, not its processor."""

from compress_bench.doctor import Facts, Finding
from compress_bench.doctor.versions import parse

NEEDS_HARDWARE = False

# Source: the platform tags of onnxruntime's wheels on PyPI: manylinux_2_27 up to 1.21 at least,
# manylinux_2_28 alone in 1.32; none for ARM of 32 bits (onnxruntime issue 24511) or for musl.
OLDEST_GLIBC, TODAYS_GLIBC = (2, 27), (2, 28)
_BY_HAND = "build onnxruntime there: https://onnxruntime.ai/docs/build/inferencing.html#arm"


def check(facts: Facts) -> Finding:
    """What is impossible by pip is only a warning where onnxruntime can be imported."""
    obstacle = find_obstacle(facts)
    libc = facts["libc"]
    system = facts["system_name"] or facts["system"]
    if obstacle is None:
        found = f"{facts['python']['bits']}-bit {system}, {libc['name']} {libc['version']}"
        return Finding(status="ok", found=found.rstrip(", "))
    found, why, what_to_do = obstacle
    runs = facts["imports"].get("onnxruntime", {}).get("ok", False)
    if runs:
        return Finding(status="ok", found=f"{found}; onnxruntime was built for it")
    return Finding(status="fail", found=found, why=why, what_to_do=what_to_do)


def find_obstacle(facts: Facts) -> tuple[str, str, str] | None:
    """What is there, why it matters and what to do; None: wheels fit."""
    libc = facts["libc"]
    if facts["python"]["bits"] == 32:
        return _thirty_two_bits(facts["machine"])
    if libc["name"] == "musl":
        found = "a system with musl, as Alpine Linux"
        return found, "PyPI has no onnxruntime for it", f"take a Debian image, or {_BY_HAND}"
    if libc["version"] and parse(libc["version"]) < OLDEST_GLIBC:
        found = f"glibc {libc['version']}"
        return found, "onnxruntime's wheels need 2.27, new ones 2.28", "install a newer system"
    return None


def _thirty_two_bits(machine: str) -> tuple[str, str, str]:
    why = "PyPI has no onnxruntime for systems of 32 bits"
    if machine in ("aarch64", "x86_64"):
        found = f"a 32-bit system on a 64-bit kernel ({machine})"
        why += "; the processor has 64, but the installed programs do not use them"
        return found, why, "install the 64-bit system, as Raspberry Pi OS (64-bit)"
    found = f"a 32-bit system ({machine})"
    advice = f"a Raspberry Pi 3, Zero 2 or newer runs the 64-bit system; elsewhere {_BY_HAND}"
    return found, why, advice
