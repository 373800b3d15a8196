"""What a screening measured, on disk: the same search again measures nothing."""

import shutil
from dataclasses import asdict
from pathlib import Path

from compress.artifacts import header, read_json, write_json
from compress.errors import ArtifactError
from compress.search.measured import Measured

KEPT = "screening.json"
_KIND = "screening"


def read_kept(folder: Path, key: str) -> Measured | None:
    """What a search kept of the same candidates, measured alike; None if there is none."""
    try:
        content = read_json(folder / KEPT, kind=_KIND)
    except ArtifactError:
        return None
    if content.get("key") != key:
        return None
    return Measured(
        teacher=content["teacher"],
        files=content["files"],
        verdicts={
            name: {tuple(row["key"]): row["verdict"] for row in rows}
            for name, rows in content["verdicts"].items()
        },
        failed=content["failed"],
        asked=frozenset(tuple(item) for item in content["asked"]),
        smallest_difference=content["smallest_difference"],
        notes=tuple(content["notes"]),
    )


def forget(folder: Path) -> None:
    """What was measured is measured again."""
    (folder / KEPT).unlink(missing_ok=True)
    _drop_files(folder)


def write_kept(folder: Path, key: str, found: Measured) -> None:
    """Keep the measurements; the files, which have random weights, have served."""
    content = asdict(found) | {
        "key": key,
        "verdicts": {
            name: [{"key": list(goal), "verdict": dict(v)} for goal, v in rows.items()]
            for name, rows in found.verdicts.items()
        },
        "asked": sorted(list(item) for item in found.asked),
    }
    write_json(folder / KEPT, header(_KIND) | content)
    _drop_files(folder)


def _drop_files(folder: Path) -> None:
    for leftover in folder.glob("screening-*"):
        shutil.rmtree(leftover, ignore_errors=True)
