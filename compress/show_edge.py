"""What --for-edge brought, for people: a line for each change, and how to leave one out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import read_json
from compress.data.wording import size_text

EDGE = "edge.json"
Effect = Mapping[str, Any]  # the fields of `compress.edge_effects.Version`

_HEADER = ("for edge", "parameters", "int8 size", "int8 time", "as fast as before", "float32 time")


def read_effects(folder: Path) -> list[Effect]:
    """The effects that were measured before a checkpoint was trained; empty where none were."""
    path = folder / EDGE
    found: list[Effect] = read_json(path, kind="edge")["edge"] if path.is_file() else []
    return found


def table(effects: Sequence[Effect]) -> Iterator[str]:
    """A header and a line for each version, in columns; nothing where nothing was measured."""
    if not effects:
        return
    lines = [_HEADER, *(_row(effect) for effect in effects)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    for line in lines:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)
        ).rstrip()


def _row(effect: Effect) -> tuple[str, ...]:
    ratio = effect["int8_ratio"]
    return (
        effect["change"] or "as it is",
        f"{effect['parameters']:,}",
        size_text(effect["int8_bytes"]),
        _milliseconds(effect["int8_seconds"]),
        f"{_ratio_text(ratio)} times" if ratio else "",
        _milliseconds(effect["float32_seconds"]),
    )


def sentences(effects: Sequence[Effect]) -> Iterator[str]:
    """What each change did to the time, and how to leave out one that costs some."""
    for effect in effects:
        if effect["int8_ratio"] is None:
            continue
        change, ratio = effect["change"], _ratio_text(effect["int8_ratio"])
        if effect["verdict"] == "slower":
            others = ",".join(e["change"] for e in effects if e["change"] not in ("", change))
            remedy = f"leave it out with --edge-changes {others}" if others else "drop --for-edge"
            yield f"{change} makes int8 slower here ({ratio} times as fast): {remedy}"
        elif effect["verdict"] == "faster":
            yield f"{change} makes int8 faster here: {ratio} times as fast"
        else:
            yield f"{change} makes no clear difference to int8 here ({ratio} times as fast)"


def _ratio_text(ratio: Mapping[str, float]) -> str:
    return f"{ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
