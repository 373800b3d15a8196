"""What a person at the board reads: the machine, the self-check, and a row a file."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

from compress_bench.pack.board.measuring import Measurement, has_rounds
from compress_bench.pack.board.selfcheck import TIES, labels_of, peak_bytes, read_labels

Json = Dict[str, Any]

NOTHING = "-"


def render(content: Json, measurement: Measurement, check: Json) -> str:
    """All of it as plain text."""
    blocks = [_machine(content, measurement), _check(check, measurement)]
    if check["variants"]:
        blocks.append(_table(content, measurement))
    return "\n\n".join(blocks)


def _machine(content: Json, measurement: Measurement) -> str:
    machine = measurement.machine
    if machine is None:
        return str(content["name"]) + ": the runner did not start"
    size = ["%s, %d cores" % (machine["cpu"], machine["cores"])]
    size += [] if machine["memory_bytes"] is None else [_gigabytes(machine["memory_bytes"])]
    said = [
        *([machine["cpu"]] if machine["emulated"] else size),  # of the host, otherwise
        machine["kernel"],
        "Python %s, numpy %s, onnxruntime %s"
        % (machine["python"], machine["numpy"], machine["onnxruntime"]),
    ]
    text = "%s on %s" % (content["name"], "; ".join(said))
    if machine["emulated"]:
        text += "\nThis processor is emulated: its times would mean nothing, none was taken."
    return text


# ---------------------------------------------------------------------------------- self-check


def _check(check: Json, measurement: Measurement) -> str:
    lines = ["Self-check against %s: %s" % (check["reference"], check["status"])]
    if check["reason"]:
        lines.append("  " + check["reason"])
    width = max((len(name) for name in check["variants"]), default=0)
    for name, found in check["variants"].items():
        words = "; ".join(filter(None, [_golden(found), _agreement(found), _coverage(found)]))
        lines.append("  %s  %s  %s" % (name.ljust(width), found["status"], words))
        lines += ["  %s  problem: %s" % (" " * width, problem) for problem in found["problems"]]
    if check["variants"]:
        lines.append("  " + _fitness(check, measurement))
    return "\n".join(lines)


def _fitness(check: Json, measurement: Measurement) -> str:
    """Free memory against what the files take, and whether the processor knew all instructions."""
    free, said = check["free_memory_bytes"], []
    if free is not None:
        said.append("free memory: %s" % _gigabytes(free))
    peaks = [peak_bytes(name, measurement) for name in check["variants"]]
    known = [peak for peak in peaks if peak is not None]
    if known:
        said.append("at most %.0f MB are taken by one file's process" % (max(known) * 1e-6))
    met = any("illegal instruction" in entry["reason"] for entry in measurement.entries)
    said.append("an illegal instruction was met" if met else "no illegal instruction was met")
    return "; ".join(said)


def _golden(found: Json) -> str:
    parity = found["parity"]
    if parity is None:
        return "golden outputs: %s" % found["parity_reason"]
    if parity["max_steps"] is not None:
        return "golden outputs within %.3g steps" % parity["max_steps"]
    return "golden outputs within %.1g (range %.3g)" % (parity["max_abs"], parity["range"])


def _agreement(found: Json) -> str:
    agreement = found["agreement"]
    if agreement is None:
        return "same classes: %s" % found["agreement_reason"]
    told = "same class for %d of %d images" % (agreement["same"], agreement["n"])
    return told if agreement["same"] == agreement["n"] else "%s (%s)" % (told, TIES)


def _coverage(found: Json) -> str:
    """Nothing of a float file."""
    coverage = found["coverage"]
    if coverage is None:
        return "integers: %s" % found["coverage_reason"]
    if coverage["integer"] == 0:
        return ""
    every = coverage["integer"] + coverage["float"]
    return "%d of %d operators in integers" % (coverage["integer"], every)


# --------------------------------------------------------------------------------------- table


def _table(content: Json, measurement: Measurement) -> str:
    rows: List[Tuple[str, ...]] = [
        ("", "accuracy", "p50 (processes)", "size", "model memory", "peak")
    ]
    rows += [_row(variant, content, measurement) for variant in content["subjects"]["variants"]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]  # noqa: B905
    return "\n".join(line.rstrip() for line in lines)


def _row(variant: Json, content: Json, measurement: Measurement) -> Tuple[str, ...]:
    name = variant["name"]
    return (
        name,
        _accuracy(name, content, measurement),
        _p50(name, measurement),
        _bytes(variant["size_bytes"]),
        _bytes(_model_bytes(name, measurement)),
        _bytes(peak_bytes(name, measurement)),
    )


def _accuracy(name: str, content: Json, measurement: Measurement) -> str:
    found = labels_of(name, measurement)
    if found is None or content["evaluation"] is None:
        return NOTHING
    labels = read_labels(content["evaluation"]["labels"])[: len(found)]
    return "%.1f %% of %d" % (100 * float((found == labels).mean()), len(labels))


def _p50(name: str, measurement: Measurement) -> str:
    """The geometric mean of the processes' medians, from the least to the largest of them."""
    medians = [
        _median([s for e in entry["events"] for s in _samples(e, name)])
        for entry in measurement.of("latency")
        if has_rounds(entry)
    ]
    if not medians:
        return NOTHING
    mean = math.exp(sum(math.log(value) for value in medians) / len(medians))
    scale, unit = (1e-6, "ms") if mean >= 1e6 else (1e-3, "us")
    numbers = tuple("%.3g" % (value * scale) for value in (mean, min(medians), max(medians)))
    return "%s %s (%s to %s)" % (numbers[0], unit, numbers[1], numbers[2])


def _samples(event: Json, name: str) -> List[int]:
    blocks = event["blocks"] if event["event"] == "round" else []
    return [sample for b in blocks if b["variant"] == name for sample in b["samples_ns"]]


def _model_bytes(name: str, measurement: Measurement) -> Optional[float]:
    found = measurement.memory_of(name, "model_bytes")
    return _median(found) if found else None


def _median(values: List[int]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2


def _gigabytes(value: float) -> str:
    return "%.1f GB" % (value * 1e-9)


def _bytes(value: Optional[float]) -> str:
    if value is None:
        return NOTHING
    return "%.2f MB" % (value * 1e-6) if abs(value) >= 1e6 else "%.1f kB" % (value * 1e-3)
