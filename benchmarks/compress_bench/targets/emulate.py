"""A core type that this machine plays: `emulate:cortex-a72`, before there is a board.

What onnxruntime answers there is what it answers on such a core; how long it takes means nothing.
"""

import re
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import UsageError
from compress_bench.emulation.cores import CORES, Core, find_core
from compress_bench.emulation.emulator import Emulator, find_emulator
from compress_bench.emulation.guests import find_guest
from compress_bench.emulation.playing import Guest, command, show
from compress_bench.emulation.plugin import FILE_VARIABLE, find_counter
from compress_bench.jobs.listening import Event, obituary
from compress_bench.targets import Place, local

if TYPE_CHECKING:
    from compress.progress import Progress

_REFERENCE = re.compile(r"emulate:(?P<core>[\w-]+)(?:\?onnxruntime=(?P<version>[\w.]+))?")
# Its wheel executes instructions of Armv8.2 on import. Source: onnxruntime #23957, #24112, and its
# PR #23978, which mends it.
_ARMV8_2_ONLY = "1.21.0"


@dataclass(frozen=True)
class _Played:
    """A core that is ready.

    Attributes:
        core: which.
        emulator: that plays it.
        guest: the Python that runs on it.
        folder: with what its machine shows, and the runner.
        counter: the plugin that counts instructions, or None.
        counter_reason: why there is none.
    """

    core: Core
    emulator: Emulator
    guest: Guest
    folder: Path
    counter: Path | None
    counter_reason: str

    def stream(self, job: Mapping[str, Any]) -> Generator[Event, None, None]:
        """Run the runner on the core; see `local.stream`."""
        counts = self.counter if _counts(job) else None
        shown, runner = self.folder / "shown", self.folder / "runner" / "runner.py"
        running = command(self.emulator, self.core, self.guest, shown, counts)
        with tempfile.TemporaryDirectory(prefix="counts-", dir=self.folder) as folder:
            marks = str(Path(folder) / "marks") if counts else ""
            told = {"marks": marks, "marks_reason": self.counter_reason}
            prefix = ["env", f"{FILE_VARIABLE}={marks}"]
            yield from local.stream_command(
                [*prefix, *running, str(runner)],
                {**job, **told},
                self._how_it_ended,
                f"emulate:{self.core.name}",
            )

    def _how_it_ended(self, status: int, errors: str) -> str:
        if status != -signal.SIGILL:
            return obituary(status, errors)
        version = self.guest.onnxruntime
        newer = "1.22 or newer" if version == _ARMV8_2_ONLY else "another version"
        return (
            f"met an illegal instruction: onnxruntime {version} does not run on a "
            f"{self.core.label}; take {newer}, or build it for this core"
        )


@contextmanager
def open_place(reference: str, progress: "Progress") -> Iterator[Place]:
    """Make a core type ready; what has to be fetched for it is kept.

    Args:
        reference: emulate:CORE, or emulate:CORE?onnxruntime=VERSION.
        progress: where fetching is shown.

    Raises:
        UsageError: there is no such core type.
        EmulatorMissingError: this machine has no qemu that plays it.
        BenchError: its Python or onnxruntime cannot be had.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(
            f"--target {reference}: expected emulate:CORE or emulate:CORE?onnxruntime=VERSION, "
            f"where CORE is one of {', '.join(CORES)}"
        )
    core = find_core(match["core"])
    emulator = find_emulator(core)
    guest = find_guest(core, emulator, match["version"], progress)
    with tempfile.TemporaryDirectory(prefix="compress-emulate-") as name:
        folder = Path(name)
        show(core, guest, folder / "shown")
        # In a folder of its own: a script's neighbours stand in for the standard library's modules.
        (folder / "runner").mkdir()
        shutil.copy(local.RUNNER, folder / "runner")
        counter, reason = find_counter(emulator, core, guest, folder / "shown")
        played = _Played(core, emulator, guest, folder, counter, reason)
        yield Place(reference, played.stream, emulates=core.name)


def _counts(job: Mapping[str, Any]) -> bool:
    """Whether instructions are asked for, which makes all else a little slower."""
    return job.get("instructions") == "emulator" or any(map(_counts, job.get("jobs", ())))
