"""The file that a board writes of itself, and that `compress report` reads."""

from __future__ import annotations

import json
import math
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict

from compress.errors import ArtifactError, BenchError
from compress_bench.pack.board.measuring import Measurement

SCHEMA = 1
KIND = "record"

Json = Dict[str, Any]


def record_name(name: str) -> str:
    """NAME-HOST.json, of the packed file and this board."""
    host = os.uname().nodename.split(".")[0]
    return "%s-%s.json" % (name, re.sub(r"[^A-Za-z0-9_-]+", "_", host) or "board")


def check_out(out: Path) -> None:
    """Refuse before minutes of measuring; nothing but an older record is replaced."""
    if out.is_dir() or not os.access(str(out.parent), os.W_OK):
        raise BenchError("%s: cannot be written; name another file with -o" % out)
    if os.path.lexists(str(out)) and not _is_record(out):
        raise ArtifactError(
            "%s: expected nothing or an older record, found something else; "
            "name another file with -o" % out
        )


def _is_record(path: Path) -> bool:
    if not path.is_file():  # a device that is read would never end
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def make_record(content: Json, profile: str, measurement: Measurement, check: Json) -> Json:
    """What `compress report` reads: what was packed, without the jobs, and their events."""
    plan = content["plans"][profile]
    kept = ("name", "bundle", "subjects", "graphs", "evaluation", "run")
    machine = measurement.machine or {}
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {key: machine.get(key) for key in ("python", "numpy", "onnxruntime")},
        "packed_utc": content["created_utc"],
        "packed_versions": content["versions"],
        "host": os.uname().nodename,
        "interrupted": measurement.interrupted,
        "settings": plan["settings"],
        "profile": plan["profile"],
        "machine": measurement.machine,
        "portability": [check],
        "jobs": untimed(measurement.entries) if measurement.is_emulated() else measurement.entries,
        **{key: content[key] for key in kept},
    }


def untimed(value: Any) -> Any:
    """Events of an emulated processor without its times and its host's memory."""
    if isinstance(value, (list, tuple)):
        return [untimed(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {key: None if key.endswith("seconds") else untimed(e) for key, e in value.items()}
    return dict(found, meminfo="") if "meminfo" in found else found


def write_record(out: Path, record: Json) -> None:
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
