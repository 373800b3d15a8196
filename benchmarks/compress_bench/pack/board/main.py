"""`python3 student.pyz` on a board: unpack, measure, check, write it down, and tell it."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Dict, List, TextIO

from compress.errors import BenchError, CompressError
from compress_bench.pack.board.extract import extract, read_content
from compress_bench.pack.board.lonely import hold_board
from compress_bench.pack.board.measuring import Measurement
from compress_bench.pack.board.record import check_out, make_record, record_name, write_record
from compress_bench.pack.board.selfcheck import FAIL, check_board, free_memory
from compress_bench.pack.board.table import render

QUICK = "quick"
INTERRUPTED = 130
FIRST_OWN = 3  # file descriptors below are the standard streams

Json = Dict[str, Any]


def main(archive: str, arguments: List[str]) -> int:
    """Do what the command line asks for; the exit code: 0, 1 (a fault), 2 (usage), 130."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    _open_streams()
    _leave_no_core_files()
    try:
        return _run(archive, _parse(archive, arguments))
    except CompressError as error:
        sys.stderr.write("%s\n" % error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was measured\n")
        return INTERRUPTED


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Standard streams that are closed, as a service's may be, become the null device."""
    opened = -1
    while opened < FIRST_OWN:
        opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    os.close(opened)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def _leave_no_core_files() -> None:
    """A runner that meets an illegal instruction is told of; its memory is of no use."""
    try:
        import resource
    except ImportError:  # off POSIX
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _parse(archive: str, arguments: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 " + Path(archive).name,
        description="Measure and check the packed models on this board, and write a record that "
        "`compress report` reads. Needs numpy and onnxruntime.",
    )
    parser.add_argument("-o", "--out", help="file of the record; NAME-HOST.json if not given")
    parser.add_argument("--quick", action="store_true", help="fewer processes and rounds")
    return parser.parse_args(arguments)


def _run(archive: str, asked: argparse.Namespace) -> int:
    content = read_content(archive)
    _check_packages()
    out = Path(asked.out or record_name(content["name"]))
    check_out(out)
    hold_board(Path(archive).name)
    profile = QUICK if asked.quick else content["profile"]
    plan = content["plans"][profile]
    folder = Path(tempfile.mkdtemp(prefix="compress-pack-"))
    try:
        extract(archive, content["files"], folder)
        memory = free_memory()
        measurement = Measurement(plan, folder, _say)
        measurement.run()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # seconds, after which everything is written
        if sys.stderr.isatty():
            _write_to(sys.stderr, "\n")
        check = check_board(content, measurement, folder, memory)
        record = make_record(content, profile, measurement, check)
        write_record(out, record)
        _write_to(sys.stdout, render(content, measurement, check) + "\n\n%s\n" % out)
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)
    if measurement.interrupted:
        return INTERRUPTED
    return 1 if check["status"] == FAIL else 0


def _check_packages() -> None:
    missing = [n for n in ("numpy", "onnxruntime") if importlib.util.find_spec(n) is None]
    if missing:
        raise BenchError(
            "%s: expected numpy and onnxruntime, found no %s; %s"
            % (sys.executable, " and no ".join(missing), _install(missing))
        )


def _install(missing: List[str]) -> str:
    """The command; a Python that the system's packages own refuses pip outside of a venv."""
    mark = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if sys.prefix != sys.base_prefix or not mark.is_file():
        return "install it with: %s -m pip install %s" % (sys.executable, " ".join(missing))
    return (
        "make a venv with both, as this Python's pip installs nothing: %s -m venv ~/bench && "
        "~/bench/bin/python3 -m pip install numpy onnxruntime; then start this file with "
        "~/bench/bin/python3" % sys.executable
    )


def _say(sentence: str) -> None:
    """Progress: a line that is written over on a terminal, lines of their own elsewhere."""
    form = "\r\033[K%s" if sys.stderr.isatty() else "%s\n"
    _write_to(sys.stderr, form % sentence)


def _write_to(stream: TextIO, text: str) -> None:
    """The measurement is worth more than a terminal that is gone."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        pass
