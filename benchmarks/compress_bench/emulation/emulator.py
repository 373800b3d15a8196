"""qemu's user-mode emulation: which program of this machine plays a core type."""

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass

from compress.errors import EmulatorMissingError
from compress_bench.emulation.cores import Core


@dataclass(frozen=True)
class Emulator:
    """A qemu that runs programs of another processor.

    Attributes:
        program: its path.
        version: as it says itself.
        takes_plugins: whether it was built with them; static ones are not.
    """

    program: str
    version: str
    takes_plugins: bool


def find_emulator(core: Core) -> Emulator:
    """The qemu that plays a core; a dynamic one before a static one, for its plugins.

    Raises:
        EmulatorMissingError: there is none, or it is too old.
    """
    name = f"qemu-{core.architecture}"
    program = shutil.which(name) or shutil.which(f"{name}-static")
    if program is None or platform.system() != "Linux":
        raise EmulatorMissingError(
            f"emulate:{core.name}: expected {name} on PATH, found none; "
            "install it (Debian and Ubuntu: apt install qemu-user), or measure on a board"
        )
    version = _version(program)
    wanted = ".".join(map(str, core.since))
    if tuple(map(int, version.split(".")[:2])) < core.since or core.model not in _models(program):
        raise EmulatorMissingError(
            f"emulate:{core.name}: expected qemu {wanted} or newer, which plays this core, found "
            f"{version} ({program}); install a newer qemu-user"
        )
    return Emulator(program, version, "-plugin" in _said(program, "-help"))


def _version(program: str) -> str:
    found = re.search(r"version (\d+\.\d+[\w.]*)", _said(program, "-version"))
    return found[1] if found else "0.0"


def _models(program: str) -> set[str]:
    words = _said(program, "-cpu", "help").split()
    return {word.strip("'") for word in words}


def _said(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout + done.stderr
