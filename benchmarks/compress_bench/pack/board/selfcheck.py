"""Whether this board computes what it should: golden outputs, the packing machine's answers.

And whether it computes in integers what is int8, and has the memory for it.
"""

from __future__ import annotations

import base64
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple

from compress_bench.examiner import available_bytes
from compress_bench.pack.board.measuring import Measurement
from compress_bench.portability.coverage import count_coverage, less_in_integers

Json = Dict[str, Any]

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
# Of another core type's answers to all test images; a file that saturates fell to 0.38. Images
# whose two likeliest classes are a step apart may fall on either side.
LEAST_AGREEMENT = 0.99
TIES = "at least %g %% wanted, as near ties may fall on either side" % (100 * LEAST_AGREEMENT)


def check_board(content: Json, measurement: Measurement, folder: Path, memory: Json) -> Json:
    """All files on this board, in the form of reports' `portability`.

    Args:
        content: of the packed file.
        measurement: what was measured.
        folder: where the packed files lie.
        memory: of `free_memory`.
    """
    machine = measurement.machine
    stop = _first_failure(measurement)
    if measurement.is_emulated():
        memory = {"free_bytes": None}  # the host's
    variants = {}
    if machine is not None and not stop:
        for variant in content["subjects"]["variants"]:
            variants[variant["name"]] = _check_file(variant, content, measurement, folder, memory)
    return {
        "core": "unknown" if machine is None else machine["cpu"],
        "target": content["name"],
        "emulated": measurement.is_emulated(),
        "status": _overall(stop, measurement, [found["status"] for found in variants.values()]),
        "reason": stop,
        "machine": machine,
        "onnxruntime": None if machine is None else machine["onnxruntime"],
        "reference": content["packed_on"]["words"],
        "variants": variants,
        "free_memory_bytes": memory["free_bytes"],
    }


def _overall(stop: str, measurement: Measurement, statuses: List[str]) -> str:
    if FAIL in statuses or (stop and not measurement.interrupted):
        return FAIL
    return SKIPPED if stop or SKIPPED in statuses else PASS


def _first_failure(measurement: Measurement) -> str:
    """Why nothing could be checked; empty where the models could be opened."""
    (opened,) = measurement.of("inspect")[:1] or [{"status": "", "reason": "it was interrupted"}]
    reason = "" if opened["status"] == "done" else str(opened["reason"])
    if "illegal instruction" in reason:
        reason += "; found onnxruntime %s: install another version of it" % _installed()
    return reason


def _installed() -> str:
    """The version that is installed, of a package that may not be imported."""
    try:
        return metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _check_file(
    variant: Json, content: Json, measurement: Measurement, folder: Path, memory: Json
) -> Json:
    name = variant["name"]
    problems: List[str] = [
        entry["reason"]
        for entry in measurement.entries
        if name in entry["key"]["variants"]
        and entry["status"] in ("failed", "lost")
        and entry["key"]["kind"] in ("outputs", "predict", "memory", "latency")
        and entry["reason"].startswith(name)
    ]
    parity, parity_reason, found = _golden(name, content, measurement, folder)
    problems += found
    agreement, agreement_reason = _agreement(name, content, measurement)
    if agreement is not None and agreement["share"] < LEAST_AGREEMENT:
        problems.append(
            "%d of %d test images are given another class than on the machine that packed it (%s)"
            % (agreement["n"] - agreement["same"], agreement["n"], TIES)
        )
    coverage, coverage_reason = _coverage(name, measurement)
    expected = content["packed_on"]["coverage"].get(name)
    if coverage is not None and expected is not None:
        problems += less_in_integers(coverage, expected)
    problems += _memory(name, measurement, memory)
    instructions, instructions_reason = _instructions(name, measurement)
    unseen = measurement.interrupted and parity is None and agreement is None
    status = SKIPPED if unseen else PASS
    return {
        "status": FAIL if problems else status,
        "problems": problems,
        "parity": parity,
        "parity_reason": parity_reason,
        "agreement": agreement,
        "agreement_reason": agreement_reason,
        "coverage": coverage,
        "coverage_reason": coverage_reason,
        "instructions": instructions,
        "instructions_reason": instructions_reason,
    }


# -------------------------------------------------------------------------------------- golden


def _golden(
    name: str, content: Json, measurement: Measurement, folder: Path
) -> Tuple[Optional[Json], str, List[str]]:
    """The outputs for golden inputs against those that export wrote: parity, why not, problems."""
    wanted = content["golden"].get(name)
    if wanted is None:
        return None, "the bundle holds no golden outputs of it", []
    rows: Dict[str, List[Any]] = {}
    for entry in measurement.of("outputs"):
        for event in entry["events"]:
            if event["event"] == "outputs" and event["variant"] == name:
                for output in event["outputs"]:
                    rows.setdefault(output["name"], []).append(_decode(output))
    if not rows:
        return None, "it was not run", []
    import numpy as np

    from compress_bench.portability.parity import compare, judge

    names = list(rows)
    with np.load(str(folder / content["golden_file"]), allow_pickle=False) as file:
        expected = {n: file["%s.%s" % (name, n)] for n in wanted["names"]}
    # A single output may have a name of its own in a foreign file.
    found = {own: np.concatenate(rows[own if own in rows else names[0]]) for own in wanted["names"]}
    values = wanted["names"][-1]
    labels: Json = {}
    if "label" in expected:
        labels = {"labels_expected": expected["label"], "labels_found": found["label"]}
    try:
        parity = compare(
            expected[values], found[values], wanted["step"], scores=wanted["scores"], **labels
        )
    except ValueError as error:
        return None, str(error), ["golden outputs: %s" % error]
    return parity, "", ["golden outputs: %s" % problem for problem in judge(parity)]


def _decode(output: Json) -> Any:
    import numpy as np

    values = np.frombuffer(base64.b64decode(output["float32"]), dtype="<f4")
    return values.reshape(output["shape"])


# ----------------------------------------------------------------------------------- agreement


def labels_of(name: str, measurement: Measurement) -> Any:
    """The class that a variant gives each test image, int [N]; None where it was not asked."""
    import numpy as np

    parts = []
    for entry in measurement.of("predict"):
        for event in entry["events"]:
            if event.get("variant") == name and event["event"] == "logits":
                parts.append(_decode(event).argmax(axis=1))
            elif event.get("variant") == name and event["event"] == "labels":
                parts.append(np.asarray(event["labels"]))
    return np.concatenate(parts) if parts else None


def read_labels(text: str) -> Any:
    """Classes as the packed file holds them: int [N]."""
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<i4")


def _agreement(name: str, content: Json, measurement: Measurement) -> Tuple[Optional[Json], str]:
    expected, found = content["packed_on"]["labels"].get(name), labels_of(name, measurement)
    if expected is None:
        return None, "the packing machine gave no answers"
    if found is None:
        return None, "it was not asked about test images"
    expected = read_labels(expected)[: len(found)]  # an emulated processor is asked about a few
    same = int((expected == found).sum())
    return {"n": len(expected), "same": same, "share": same / len(expected)}, ""


# -------------------------------------------------------------------------------------- others


def _coverage(name: str, measurement: Measurement) -> Tuple[Optional[Json], str]:
    """Integer operators by onnxruntime's profile of the graph as it runs here."""
    for entry in measurement.of("layers"):
        if entry["key"]["variants"] != [name] or entry["key"]["optimization"] != "all":
            continue
        for event in entry["events"]:
            if event["event"] == "layers":
                return count_coverage([_node(node) for node in event["nodes"]]), ""
        return None, str(entry["reason"])
    return None, "its operators were not looked at"


def _instructions(name: str, measurement: Measurement) -> Tuple[Optional[Json], str]:
    """Those of an inference as this machine's counters have them; or None and the reason."""
    reason = "they were not counted"
    for entry in measurement.of("counts"):
        for event in entry["events"]:
            if event["event"] == "counts":
                reason = str(event["reason"])
            if event.get("variant") == name and event.get("instructions") is not None:
                fields = ("source", "inferences")
                found = {field: event[field] for field in fields}
                return dict(found, value=event["instructions"]), ""
    return None, reason


def _node(node: Json) -> Any:
    """What `count_coverage` wants to know of an operator."""
    ends = {
        end: [SimpleNamespace(type=kind) for kind, _ in node[end]] for end in ("inputs", "outputs")
    }
    return SimpleNamespace(operator=node["operator"], **ends)


def free_memory() -> Json:
    """Bytes that programs can have without swapping, before anything runs; None if unsaid."""
    return {"free_bytes": available_bytes(Path("/"))}


def peak_bytes(name: str, measurement: Measurement) -> Optional[int]:
    """The most that a process of this variant alone held; None if unknown."""
    peaks = measurement.memory_of(name, "peak_bytes")
    return max(peaks) if peaks else None


def _memory(name: str, measurement: Measurement, memory: Json) -> List[str]:
    peak, free = peak_bytes(name, measurement), memory["free_bytes"]
    if peak is None or free is None or peak <= free:
        return []
    return ["it needs %.0f MB, and %.0f MB were free" % (peak * 1e-6, free * 1e-6)]
