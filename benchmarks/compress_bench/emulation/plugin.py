"""The emulator's counter of instructions: a plugin in C, compiled here on first use."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from compress.errors import BenchError
from compress_bench.emulation.cores import Core
from compress_bench.emulation.emulator import Emulator
from compress_bench.emulation.kept import kept
from compress_bench.emulation.playing import Guest, command

SOURCE = Path(__file__).with_name("icount.c")
FILE_VARIABLE = "COMPRESS_INSTRUCTIONS"
_NAME = "icount.so"
# Two marks; see icount.c.
_TRIAL = "import ctypes; call = ctypes.CDLL(None).syscall; call(5001, 0); call(5001, 1)"


def find_counter(
    emulator: Emulator, core: Core, guest: Guest, shown: Path
) -> tuple[Path | None, str]:
    """The plugin, tried once with this emulator; None and the reason where there is none.

    Args:
        emulator: that loads it.
        core: to try it on.
        guest: to try it with.
        shown: the folder that was made for the core.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not emulator.takes_plugins:
        return None, (
            f"{emulator.program} {emulator.version} was built without plugins, as static ones are; "
            "Debian 12's package qemu-user has them"
        )
    if compiler is None:
        return None, "the emulator's counter needs a C compiler, found none; install gcc"

    def make(folder: Path) -> None:
        _compile(compiler, folder / _NAME)
        _try([*command(emulator, core, guest, shown, folder / _NAME), "-I", "-S", "-c", _TRIAL])

    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    name = f"counter-{digest}-qemu-{emulator.version}-{core.architecture}"
    try:
        return kept(name, make) / _NAME, ""
    except BenchError as error:
        return None, str(error)


def _compile(compiler: str, out: Path) -> None:
    # The emulator itself has the functions that the plugin calls.
    flags = ["-O2", "-shared", "-fPIC", "-Wl,--allow-shlib-undefined", "-o", str(out)]
    done = subprocess.run(
        [compiler, *flags, str(SOURCE)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"the emulator's counter cannot be compiled: {_last(done.stderr)}")


def _try(counted: list[str]) -> None:
    with tempfile.NamedTemporaryFile() as marks:
        done = subprocess.run(
            counted,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {FILE_VARIABLE: marks.name},
        )
        found = marks.read().split()
    if len(found) != 2 or int(found[0]) >= int(found[1]):
        said = _last(done.stderr) or f"{len(found)} of 2 marks"
        raise BenchError(f"the emulator's counter does not work here: {said}")


def _last(said: str) -> str:
    return (said.strip().splitlines() or [""])[-1]
