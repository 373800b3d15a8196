"""What the doctor asks of a machine: one file that the runner loads there, and that packs hold.

Python 3.8 syntax and the standard library alone: numpy and onnxruntime may be what is missing.
Every reader takes the root of the file system, so that trees of other machines can be read; what
a machine does not show is None or empty. What the facts mean is for the doctor's checks to say.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import signal
import struct
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

Json = Dict[str, Any]

LIBRARIES = ("numpy", "onnxruntime")
# Wheels that bring the module onnxruntime; two of them overwrite each other's files.
RUNTIME_WHEELS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-training",
)
IMPORT_SECONDS = 120  # an SD card takes 20; an import that hangs must end
BUSY_LEAST = 0.1  # of one core: programs that take less hardly disturb
BUSY_MOST = 5  # programs that are told


def look(busy_seconds: float = 0.5) -> Json:
    """Everything, from this machine.

    Args:
        busy_seconds: how long other programs are watched.
    """
    root = Path("/")
    # First: what follows keeps this machine busy itself.
    busy = read_busy(root, busy_seconds)[:BUSY_MOST]
    packages = read_packages()
    return {
        "busy": busy,
        "python": read_python(),
        "libc": read_libc(root),
        "system_name": read_os_release(root),
        "packages": packages,
        "imports": {name: try_import(name) for name in LIBRARIES if packages[name]},
        "cpus": read_cpus(root),
        "cpu_lists": read_cpu_lists(root),
        "memory": read_memory(root),
        "disk": read_disk(),
        "limits": read_limits(root),
        "zones": read_zones(root),
        "cooling": read_cooling(root),
        "pressure": read_pressure(root),
    }


def read_text(path: Path) -> str:
    """A small file of the kernel's, or nothing where it is not there or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def read_number(path: Path) -> Optional[int]:
    """A file that holds one whole number."""
    text = read_text(path)
    return int(text) if text.lstrip("-").isdigit() else None


# ------------------------------------------------------------------------------ Python, packages


def read_python() -> Json:
    """The interpreter: its bits are those of the userland, whatever the kernel's are.

    Returns:
        Among others `managed`: pip refuses to install for it, as PEP 668 has it.
    """
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return {
        "managed": sys.prefix == sys.base_prefix and marker.exists(),
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "bits": struct.calcsize("P") * 8,
        "executable": sys.executable,
    }


def read_libc(root: Path) -> Json:
    """The C library, which decides what wheels can be installed."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):  # musl has no such name
        name, version = "", ""
    if not name and list(root.glob("lib/ld-musl-*")):
        name = "musl"
    return {"name": name, "version": version}


def read_os_release(root: Path) -> str:
    """The distribution's name for people."""
    for line in read_text(root / "etc/os-release").split("\n"):
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    return ""


def read_packages() -> Json:
    """Installed versions, from what pip left; nothing is imported.

    Returns:
        A version or None for numpy, onnxruntime and pip; `wheels`: which of RUNTIME_WHEELS there
        are; `tags`: the platforms that the first of them was built for.
    """
    from importlib import metadata

    def find(name: str) -> Any:
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return None

    found = {name: find(name) for name in RUNTIME_WHEELS}
    wheels = {name: one.version for name, one in found.items() if one}
    first = next((one for one in found.values() if one), None)
    lines = ((first.read_text("WHEEL") or "") if first else "").split("\n")
    numpy, pip = find("numpy"), find("pip")
    return {
        "numpy": numpy.version if numpy else None,
        "onnxruntime": first.version if first else None,
        "pip": pip.version if pip else None,
        "wheels": wheels,
        "tags": [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")],
    }


def try_import(name: str) -> Json:
    """Import a library in a child, so that an illegal instruction kills nothing but the child.

    The child is a fork: an emulator without binfmt could not start a second interpreter.

    Returns:
        `ok`; then `version` and `seconds`, or `signal`, or `message`; `words`: the child's last.
    """
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            _import_and_leave(name, write_end, errors.fileno())
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip().split("\n")[-1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return {"ok": False, "signal": signal.Signals(number).name, "words": words}
    told = json.loads(said) if said else {"ok": False, "message": "it ended the interpreter"}
    return dict(told, words=words)


def _import_and_leave(name: str, write_end: int, errors: int) -> None:
    """In the child: nothing of the parent's is run on the way out."""
    try:
        for stream in (1, 2):
            os.dup2(errors, stream)
        _leave_no_core()
        signal.alarm(IMPORT_SECONDS)
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        started = time.perf_counter()
        module = importlib.import_module(name)
        seconds = time.perf_counter() - started
        told = {"ok": True, "version": str(module.__version__), "seconds": seconds}
        if hasattr(module, "get_available_providers"):
            told["providers"] = module.get_available_providers()
    except BaseException as error:
        first = (str(error).strip().split("\n") or [""])[0]
        told = {"ok": False, "message": "%s: %s" % (type(error).__name__, first)}
    os.write(write_end, json.dumps(told).encode())
    os._exit(0)


def _leave_no_core() -> None:
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# ------------------------------------------------------------------------------------------ cores


def read_cpus(root: Path) -> List[Json]:
    """Each core's clock in kHz, its limits, and its governor.

    Source: https://docs.kernel.org/admin-guide/pm/cpufreq.html
    """
    folders = [path for path in root.glob("sys/devices/system/cpu/cpu*") if path.name[3:].isdigit()]
    found = []
    for folder in sorted(folders, key=lambda path: int(path.name[3:])):
        scaling = folder / "cpufreq"
        found.append(
            {
                "cpu": int(folder.name[3:]),
                "online": read_number(folder / "online") != 0,  # the first core has no such file
                "max_khz": read_number(scaling / "cpuinfo_max_freq"),
                "min_khz": read_number(scaling / "cpuinfo_min_freq"),
                "limit_khz": read_number(scaling / "scaling_max_freq"),
                "khz": read_number(scaling / "scaling_cur_freq"),
                "governor": read_text(scaling / "scaling_governor") or None,
                "capacity": read_number(folder / "cpu_capacity"),
            }
        )
    return found


def read_cpu_lists(root: Path) -> Json:
    """The two lists without which onnxruntime's cpuinfo finds no processor on ARM."""
    folder = root / "sys/devices/system/cpu"
    return {name: read_text(folder / name) for name in ("possible", "present")}


# -------------------------------------------------------------------------- memory, disk, limits


def read_memory(root: Path) -> Json:
    """Bytes of /proc/meminfo."""
    fields = {}
    for line in read_text(root / "proc/meminfo").split("\n"):
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            fields[name] = int(words[0]) * 1024
    names = {
        "total_bytes": "MemTotal",
        "available_bytes": "MemAvailable",
        "swap_total_bytes": "SwapTotal",
        "swap_free_bytes": "SwapFree",
    }
    return {ours: fields.get(theirs) for ours, theirs in names.items()}


def read_disk() -> Json:
    """Free bytes where files are put: the temporary folder, and the home's cache."""
    found = {}
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    for name, path in (("temporary", tempfile.gettempdir()), ("cache", cache)):
        folder = Path(path)
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found[name] = {
            "path": str(folder),
            "free_bytes": shutil.disk_usage(str(folder)).free,
            "writable": os.access(str(folder), os.W_OK),
        }
    return found


def read_limits(root: Path) -> Json:
    """What a container or a service allows: cores (as CPU time a second) and bytes.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max), and
    cgroup-v1's cpu.cfs_quota_us and memory.limit_in_bytes.

    Returns:
        `cores`, `memory_bytes` and what is left of it, `memory_left_bytes`; `container`.
    """
    cores: List[float] = []
    memory: List[int] = []
    left: List[int] = []
    for folder in _cgroup_folders(root):
        words = read_text(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            cores.append(int(words[0]) / int(words[1]))
        quota = read_number(folder / "cpu.cfs_quota_us")
        period = read_number(folder / "cpu.cfs_period_us")
        if quota is not None and quota > 0 and period:
            cores.append(quota / period)
        for name, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = read_number(folder / name)
            if limit is not None and 0 < limit < 1 << 60:  # version 1 writes "none" as 2^63
                memory.append(limit)
                held = (read_number(folder / used) or 0) - _cached(folder)
                left.append(max(0, limit - max(0, held)))
    return {
        "cores": min(cores) if cores else None,
        "memory_bytes": min(memory) if memory else None,
        "memory_left_bytes": min(left) if left else None,
        "container": (root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
    }


def available_bytes(root: Path) -> Optional[int]:
    """What programs can have without swapping and below a container's limit; None if unsaid."""
    found = (read_memory(root)["available_bytes"], read_limits(root)["memory_left_bytes"])
    return min((value for value in found if value is not None), default=None)


def _cached(folder: Path) -> int:
    """Bytes of files that a group reads no more: the kernel takes them back where it needs any."""
    words = read_text(folder / "memory.stat").split()
    fields = dict(zip(words[::2], words[1::2]))  # noqa: B905
    # Version 1 has the groups below in a field of its own.
    return int(fields.get("total_inactive_file") or fields.get("inactive_file") or 0)


def _cgroup_folders(root: Path) -> List[Path]:
    """This process's groups and all above them, of both versions."""
    found = []
    for line in read_text(root / "proc/self/cgroup").split("\n"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in [*controllers.split(","), controllers]:
            top = root / "sys/fs/cgroup" / name
            here = top / path.lstrip("/")
            found += [here, *[above for above in here.parents if top in (above, *above.parents)]]
    return list(dict.fromkeys(found))


# -------------------------------------------------------------------------------------- warmth


def read_zones(root: Path) -> List[Json]:
    """Each thermal zone's kind and degrees Celsius, and where the kernel acts on it.

    Source: https://docs.kernel.org/driver-api/thermal/sysfs-api.html
    """
    found = []
    for folder in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        thousandths = read_number(folder / "temp")
        trips: Dict[str, float] = {}
        for path in sorted(folder.glob("trip_point_*_type")):
            limit = read_number(folder / path.name.replace("_type", "_temp"))
            kind = read_text(path)
            if limit is not None and limit > 0:  # a point that is switched off is below zero
                trips[kind] = min(limit / 1000, trips.get(kind, limit / 1000))
        found.append(
            {
                "type": read_text(folder / "type"),
                "celsius": None if thousandths is None else thousandths / 1000,
                "trips": trips,
            }
        )
    return found


def read_cooling(root: Path) -> List[Json]:
    """What cools: fans, and processors that are slowed; `state` above 0 is at work."""
    return [
        {
            "type": read_text(folder / "type"),
            "state": read_number(folder / "cur_state"),
            "most": read_number(folder / "max_state"),
        }
        for folder in sorted(root.glob("sys/class/thermal/cooling_device*"))
    ]


# ---------------------------------------------------------------------------------- other work


def read_pressure(root: Path) -> Json:
    """Share of the last ten seconds in which some program waited for CPU, memory or disk.

    Source: https://docs.kernel.org/accounting/psi.html
    """
    found: Json = {}
    for name in ("cpu", "memory", "io"):
        words = read_text(root / "proc/pressure" / name).split()
        shares = [word for word in words if word.startswith("avg10=")]
        found[name] = float(shares[0][len("avg10=") :]) / 100 if shares else None
    return found


def read_busy(root: Path, seconds: float) -> List[Json]:
    """Other programs that keep a tenth of a core or more busy, the busiest first.

    Args:
        root: of the file system.
        seconds: how long they are watched.
    """
    before, started = _cpu_ticks(root), time.perf_counter()
    time.sleep(seconds)
    after, passed = _cpu_ticks(root), time.perf_counter() - started
    if not hasattr(os, "sysconf") or passed <= 0:
        return []
    tick = os.sysconf("SC_CLK_TCK")
    found = [
        {"name": name, "pid": process, "cores": (ticks - before[process][1]) / tick / passed}
        for process, (name, ticks) in after.items()
        if process in before and process != os.getpid()
    ]
    busy = [one for one in found if one["cores"] >= BUSY_LEAST]
    return sorted(busy, key=lambda one: -float(one["cores"]))


def _cpu_ticks(root: Path) -> Dict[int, Any]:
    """Name and CPU time of each process; fields 14 and 15 of proc(5)'s stat."""
    found = {}
    for folder in root.glob("proc/[0-9]*"):
        head, _, rest = read_text(folder / "stat").rpartition(")")
        words = rest.split()
        if len(words) > 12:
            found[int(folder.name)] = (head.partition("(")[2], int(words[11]) + int(words[12]))
    return found
