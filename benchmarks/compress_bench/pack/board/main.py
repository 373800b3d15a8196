"""`python3 student.pyz` on a board: unpack, measure, check, write it down, and tell it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List

from compress.errors import BenchError, CompressError
from compress_bench.pack.board.extract import extract, read_content
from compress_bench.pack.board.measuring import Measurement
from compress_bench.pack.board.selfcheck import FAIL, check_board, free_memory
from compress_bench.pack.board.table import render

SCHEMA = 1
QUICK = "quick"
INTERRUPTED = 130

Json = Dict[str, Any]


def main(archive: str, arguments: List[str]) -> int:
    """Do what the command line asks for; the exit code: 0, 1 (a fault), 2 (usage), 130."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
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
    out = Path(asked.out or _record_name(content["name"]))
    _check_writable(out)
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
            sys.stderr.write("\n")
        check = check_board(content, measurement, folder, memory)
        record = _record(content, profile, measurement, check)
        _write(out, record)
        sys.stdout.write(render(content, measurement, check) + "\n\n%s\n" % out)
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)
    if measurement.interrupted:
        return INTERRUPTED
    return 1 if check["status"] == FAIL else 0


def _check_packages() -> None:
    missing = [n for n in ("numpy", "onnxruntime") if importlib.util.find_spec(n) is None]
    if missing:
        raise BenchError(
            "%s: expected numpy and onnxruntime, found no %s; install it with: "
            "%s -m pip install %s"
            % (sys.executable, " and no ".join(missing), sys.executable, " ".join(missing))
        )


def _record_name(name: str) -> str:
    host = os.uname().nodename.split(".")[0]
    return "%s-%s.json" % (name, re.sub(r"[^A-Za-z0-9_-]+", "_", host) or "board")


def _check_writable(out: Path) -> None:
    """Refuse before minutes of measuring."""
    if out.is_dir() or not os.access(str(out.parent), os.W_OK):
        raise BenchError("%s: cannot be written; name another file with -o" % out)


def _say(sentence: str) -> None:
    """Progress: a line that is written over on a terminal, lines of their own elsewhere."""
    form = "\r\033[K%s" if sys.stderr.isatty() else "%s\n"
    sys.stderr.write(form % sentence)
    sys.stderr.flush()


def _record(content: Json, profile: str, measurement: Measurement, check: Json) -> Json:
    """What `compress report` reads: what was packed, without the jobs, and their events."""
    plan = content["plans"][profile]
    kept = ("name", "bundle", "subjects", "graphs", "evaluation", "run")
    machine = measurement.machine or {}
    return {
        "schema": SCHEMA,
        "kind": "record",
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {key: machine.get(key) for key in ("python", "numpy", "onnxruntime")},
        "packed_utc": content["created_utc"],
        "packed_versions": content["versions"],
        "host": os.uname().nodename,
        "interrupted": measurement.interrupted,
        "settings": plan["settings"],
        "profile": plan["profile"],
        "machine": measurement.machine,
        "selfcheck": check,
        "jobs": measurement.entries,
        **{key: content[key] for key in kept},
    }


def _write(out: Path, record: Json) -> None:
    """Whole or not at all."""
    temporary = out.with_name(".writing-" + out.name)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(_plain(record), file, allow_nan=False, separators=(",", ":"))
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out)
    except OSError as error:
        if temporary.exists():
            temporary.unlink()
        raise BenchError(
            "%s: cannot be written (%s); free some space, or name another file with -o"
            % (out, error.strerror or error)
        ) from error


def _plain(value: Any) -> Any:
    """Without NaN and infinity, which JSON has not."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
