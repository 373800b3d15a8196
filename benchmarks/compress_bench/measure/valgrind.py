"""Instructions on a processor that valgrind emulates here, where the real one's cannot be counted.

It executes every instruction one by one, so a count repeats to parts in a hundred thousand on any
machine, busy or not, and shows whether a change of the file or of onnxruntime made work. It is no
latency. Its processor has no AVX-512 and no VNNI, so onnxruntime may choose other kernels than on
the real one; caches and memory cost nothing; and everything runs in one thread.
"""

import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from compress.errors import UsageError
from compress_bench.jobs.listening import Event
from compress_bench.targets import LOCAL, local

_COUNTED = "2"  # callgrind's second file: from the runner's first mark to its second


def stream(job: Mapping[str, Any]) -> Generator[Event, None, None]:
    """Do a job of kind counts under callgrind, and yield its events with what it counted.

    Raises:
        UsageError: valgrind is not installed.
        BenchError: the runner failed; names the model it was busy with.
    """
    check_installed()
    with tempfile.TemporaryDirectory(prefix="compress-valgrind-") as folder:
        written = Path(folder) / "counts"
        events = local.stream(_one_thread(job), prefix=_command(written))
        with closing(events):
            for event in events:
                if event["event"] == "counts" and event["source"]:
                    total = read_total(written.with_suffix(f".{_COUNTED}"))
                    event["instructions"] = total / event["inferences"]
                yield event


def check_local(target: str) -> None:
    """Refuse before anything is measured: a board's kernels are others than this machine's.

    Raises:
        UsageError: the bench is not of this machine.
    """
    if target != LOCAL:
        raise UsageError(
            f"--instructions valgrind: expected this machine, found --target {target}; "
            "give --instructions auto, or leave one of them out"
        )


def check_installed() -> None:
    """Refuse before anything is measured.

    Raises:
        UsageError: valgrind is not installed.
    """
    if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
        raise UsageError(
            "--instructions valgrind: expected valgrind and vgdb, found none; "
            "install them (Debian: apt-get install valgrind), or leave the flag out"
        )


def _command(written: Path) -> list[str]:
    tool = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={written}"]
    # Importing and opening the model are not of interest, and take three times as long counted.
    tool += ["--instr-atstart=no", "--dump-before=getsid"]
    return ["env", "PYTHONHASHSEED=0", *tool]


def _one_thread(job: Mapping[str, Any]) -> dict[str, Any]:
    """How threads wait for each other is chance; valgrind runs them in turn anyway."""
    return {**job, "threads": 1, "models": [model | {"threads": 1} for model in job["models"]]}


def read_total(written: Path) -> int:
    """Instructions that one of callgrind's files has counted.

    Raises:
        ValueError: it is not such a file.
    """
    for line in written.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise ValueError(f"{written}: expected a line of totals, found none")
