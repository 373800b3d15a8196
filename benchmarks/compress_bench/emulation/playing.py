"""The command that runs a Python on a played core, and what that core's machine looks like.

qemu's user-mode emulation translates the instructions of one program and hands its system calls to
this machine's kernel. Files are this machine's, but for those in the folder given with -L: these
come first. So a folder for each core type holds its /proc/cpuinfo, which onnxruntime reads to
choose its kernels; older versions of qemu show this machine's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compress_bench.emulation.cores import Core, cores_here
from compress_bench.emulation.emulator import Emulator

# Of the guest's system, what its loader and its Python look for by absolute path.
_LINKED = ("lib", "lib64", "opt", "usr")
# This machine's, and not the played one's.
_HIDDEN = (
    "proc/device-tree/model",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
)


@dataclass(frozen=True)
class Guest:
    """A Python of the core's architecture.

    Attributes:
        python: its program.
        onnxruntime: the version that it imports.
        root: of the system that it belongs to; None: this machine's.
        packages: folders that it imports from before its own.
        keeps_bytecode: whether Python may leave compiled files beside its modules.
    """

    python: Path
    onnxruntime: str
    root: Path | None = None
    packages: Sequence[Path] = field(default=())
    keeps_bytecode: bool = True


def show(core: Core, guest: Guest, folder: Path) -> None:
    """Make the folder for -L."""
    folder.mkdir(exist_ok=True)
    for name in _LINKED if guest.root else ():
        if guest.root and (guest.root / name).exists():
            (folder / name).symlink_to((guest.root / name).resolve())
    _write(folder / "proc/cpuinfo", core.cpuinfo(cores_here()))
    for name in _HIDDEN:
        _write(folder / name, "")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def command(
    emulator: Emulator, core: Core, guest: Guest, shown: Path, plugin: Path | None = None
) -> list[str]:
    """What runs the rest of its arguments as the guest's Python would, on that core.

    Args:
        emulator: that plays the core.
        core: to play.
        guest: whose Python it is.
        shown: the folder that `show` filled.
        plugin: of qemu's, where instructions are counted.
    """
    # An illegal instruction would leave the emulator's memory in a file of the current folder.
    no_dump = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh"]
    environment = ["env"]
    if guest.root:
        environment += ["-u", "PYTHONHOME"]
    if guest.root or guest.packages:
        environment.append("PYTHONPATH=" + ":".join(map(str, guest.packages)))
    environment.append("PYTHONHASHSEED=0")
    if not guest.keeps_bytecode:
        environment.append("PYTHONDONTWRITEBYTECODE=1")
    playing = [emulator.program, "-cpu", core.model, "-L", str(shown)]
    if plugin is not None:
        playing += ["-plugin", str(plugin)]
    return [*no_dump, *environment, *playing, str(guest.python)]
