"""Which Python runs on a played core: this machine's own, an ARM64 one fetched for it, or yours."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compress.errors import BenchError, EmulatorMissingError
from compress_bench.emulation import fetching
from compress_bench.emulation.cores import ARM, CORES, Core
from compress_bench.emulation.emulator import Emulator
from compress_bench.emulation.kept import kept
from compress_bench.emulation.playing import Guest, command, show

if TYPE_CHECKING:
    from compress.progress import Progress

# Where a whole system, such as an exported container, has its Python and its packages.
_PROGRAMS = ("usr/local/bin", "usr/bin")
_PACKAGES = (
    "opt/venv/lib/python3*/site-packages",
    "usr/local/lib/python3*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/lib/python3/dist-packages",
)
_PROOF = "import numpy, onnxruntime, sys; sys.stdout.write(onnxruntime.__version__)"


def find_guest(
    core: Core, emulator: Emulator, onnxruntime: str | None, progress: "Progress"
) -> Guest:
    """A Python for a core.

    Args:
        core: that runs it.
        emulator: that plays the core, to try what was fetched.
        onnxruntime: the version wanted; None: this machine's, or your system's.
        progress: where fetching is shown.

    Raises:
        EmulatorMissingError: it could not be fetched.
        BenchError: what there is does not run.
    """
    yours = os.environ.get(fetching.ROOT_VARIABLE) if core.architecture == ARM else None
    if yours:
        guest = _guest_in(Path(yours).absolute())
    elif core.architecture == platform.machine():
        guest = Guest(Path(sys.executable), version_here())
    elif core.architecture == ARM:
        guest = _fetched_guest(progress)
    else:
        raise EmulatorMissingError(
            f"emulate:{core.name}: expected a machine of {core.architecture}, whose Python runs on "
            f"the emulated core, found {platform.machine()}; check this core on such a machine"
        )
    wanted = onnxruntime or guest.onnxruntime or version_here()
    if guest.onnxruntime == wanted:
        return guest
    return _with_wheels(guest, wanted, emulator, core.architecture, progress)


def version_here() -> str:
    """Of this machine's onnxruntime."""
    try:
        return importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:  # onnxruntime-gpu and others bring it too
        import onnxruntime

        return str(onnxruntime.__version__)


def _fetched_guest(progress: "Progress") -> Guest:
    """An ARM64 Python without packages, fetched once."""
    source = fetching.distribution()

    def make(folder: Path) -> None:
        progress.say("emulation: fetching an ARM64 Python (15 MB, once)")
        with tempfile.TemporaryDirectory(prefix="compress-apt-") as state:
            fetching.fetch_python(source, Path(state), folder)

    root = kept(f"python-{source}-arm64", make)
    return Guest(_program_in(root), "", root)


def _guest_in(root: Path) -> Guest:
    """Your own system; nothing is written into it."""
    packages = [path for pattern in _PACKAGES for path in sorted(root.glob(pattern))]
    known = [path.name for folder in packages for path in folder.glob("onnxruntime-*.dist-info")]
    version = re.sub(r"onnxruntime-|\.dist-info", "", known[0]) if known else ""
    return Guest(_program_in(root), version, root, packages, keeps_bytecode=False)


def _program_in(root: Path) -> Path:
    for folder in _PROGRAMS:
        for path in sorted((root / folder).glob("python3.*")):
            if re.fullmatch(r"python3\.\d+", path.name):
                return path
    raise BenchError(
        f"{root}: expected a system with usr/bin/python3.N, found none; "
        f"export a container with Python, numpy and onnxruntime there, or unset "
        f"{fetching.ROOT_VARIABLE}"
    )


def _with_wheels(
    guest: Guest, version: str, emulator: Emulator, architecture: str, progress: "Progress"
) -> Guest:
    """The guest with an onnxruntime, and a numpy beside it, that were fetched once and tried."""
    python = _python_version(guest)
    glibc = fetching.glibc_of(guest.root)

    def make(folder: Path) -> None:
        wanted = [f"onnxruntime=={version}", "numpy"]
        progress.say(f"emulation: fetching onnxruntime {version} for {architecture} (40 MB, once)")
        names = fetching.platforms(architecture, glibc)
        fetching.fetch_wheels(wanted, python, names, folder)
        found = replace(guest, onnxruntime=version, packages=[folder, *guest.packages])
        _prove(found, emulator, architecture)

    packages = kept(f"onnxruntime-{version}-cp{python[0]}{python[1]}-{architecture}", make)
    return replace(guest, onnxruntime=version, packages=[packages, *guest.packages])


def _python_version(guest: Guest) -> tuple[int, int]:
    if guest.root is None:
        return sys.version_info[:2]
    major, _, minor = guest.python.name.removeprefix("python").partition(".")
    return int(major), int(minor)


def _prove(guest: Guest, emulator: Emulator, architecture: str) -> None:
    """Import it on a core that has every instruction, which also compiles its modules once.

    Raises:
        BenchError: it cannot be imported.
    """
    like = next(core for core in CORES.values() if core.architecture == architecture)
    every = replace(like, model="max")
    with tempfile.TemporaryDirectory(prefix="compress-emulate-") as folder:
        show(every, guest, Path(folder))
        done = subprocess.run(
            [*command(emulator, every, guest, Path(folder)), "-c", _PROOF],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if done.stdout != guest.onnxruntime:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise BenchError(
            f"onnxruntime {guest.onnxruntime} on {architecture}: expected to import it with "
            f"{emulator.program} {emulator.version}, and it failed ({said}); name another version "
            "(emulate:CORE?onnxruntime=VERSION), or install a newer qemu-user"
        )
