"""What the views read from report.json: a field that is absent or null is None, never an error.

Reports of bare ONNX files have no teacher, no roles and no history; a run without labelled
images has no accuracy. Every view asks here, so that none of them indexes the JSON itself.
"""

import math
from collections.abc import Mapping
from typing import Any

from compress_bench.report.format import Estimate

Report = Mapping[str, Any]
Fields = Mapping[str, Any]

# The order of a table's rows; other roles come after these, in the report's own order.
_ROLES = ("teacher", "baseline", "student", "student_int8")

# As their makers write them; the first one is not said beside every variant.
_RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def dig(fields: Any, *path: str) -> Any:
    """The value under nested keys, or None where any of them is missing or null."""
    for key in path:
        if not isinstance(fields, Mapping):
            return None
        fields = fields.get(key)
    return fields


def estimate(fields: Any, *path: str) -> Estimate | None:
    """A {"value", "low", "high"} under `path`; infinite or missing bounds become None."""
    found = dig(fields, *path)
    value = _finite(dig(found, "value"))
    if value is None:
        return None
    return Estimate(value, _finite(dig(found, "low")), _finite(dig(found, "high")))


def is_range(fields: Any, *path: str) -> bool:
    """Whether the bounds are the least and the greatest that were seen, and no interval."""
    return number(fields, *path, "confidence") == 1


def number(fields: Any, *path: str) -> float | None:
    """A finite number under `path`."""
    return _finite(dig(fields, *path))


def _finite(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def listed(fields: Any, *path: str) -> list[Any]:
    """A list under `path`, empty where there is none."""
    found = dig(fields, *path)
    return list(found) if isinstance(found, list | tuple) else []


def variants(report: Report) -> dict[str, Fields]:
    """Variants by name: teacher, baseline, student, int8 student, then the others."""
    found: dict[str, Fields] = {
        str(name): fields if isinstance(fields, Mapping) else {}
        for name, fields in (dig(report, "variants") or {}).items()
    }
    return dict(sorted(found.items(), key=lambda item: _rank(item[1])))


def _rank(fields: Fields) -> int:
    role = fields.get("role")
    return _ROLES.index(role) if role in _ROLES else len(_ROLES)


def with_role(report: Report, role: str) -> str | None:
    """Name of the first variant with `role`."""
    names = (name for name, fields in variants(report).items() if fields.get("role") == role)
    return next(names, None)


def reference(report: Report) -> str | None:
    """Name of the variant that the others are compared with."""
    name = dig(report, "settings", "reference")
    return name if name in variants(report) else None


def deployed(report: Report) -> str | None:
    """The variant for the board: the int8 student, else the student, else the last other one."""
    for role in ("student_int8", "student"):
        name = with_role(report, role)
        if name is not None:
            return name
    kept = set(variants(report)) - set(again(report))
    others = [name for name in variants(report) if name in kept and name != reference(report)]
    return others[-1] if others else reference(report)


def again(report: Report) -> dict[str, str]:
    """Variants that a second runtime serves, each with the variant of the same file."""
    found = variants(report)
    firsts = {name: name.rpartition("@")[0] for name in found}
    return {
        name: first
        for name, first in firsts.items()
        if first in found and name == f"{first}@{found[name].get('runtime')}"
    }


def detail(report: Report, name: str) -> str:
    """Network, precision, and its part in the comparison."""
    fields = variants(report)[name]
    parts = [fields.get("network"), fields.get("precision"), _part(report, name)]
    parts += [runtime(report, name)] if name in again(report) else []
    return ", ".join(str(part) for part in parts if part)


def _part(report: Report, name: str) -> str:
    """Reference, no teacher, or distilled; the last only where a baseline shows that it is."""
    role = dig(variants(report), name, "role")
    if name == reference(report):
        return "reference"
    if role == "baseline":
        return "no teacher"
    taught = role in ("student", "student_int8") and with_role(report, "baseline") is not None
    return "distilled" if taught else ""


def runtime(report: Report, name: str) -> str:
    """The runtime of a variant as its makers write it; reports of before had one only."""
    return runtime_words(variants(report)[name])


def runtime_words(fields: Fields) -> str:
    """The runtime in a variant's fields as its makers write it."""
    found = str(fields.get("runtime") or "onnxruntime")
    return _RUNTIMES.get(found, found)


def spinning(fields: Fields) -> bool | None:
    """Whether idle threads wait in a loop; None where nothing says so."""
    own = fields.get("spinning")
    if isinstance(own, bool):
        return own
    found = {"0": False, "1": True}
    return found.get(str(dig(fields, "session", "session.intra_op.allow_spinning")))


def timed(report: Report, name: str) -> Fields:
    """A variant's fields, where its times mean something: none of an emulated machine."""
    return hidden_if_emulated(report, variants(report)[name])


def hidden_if_emulated(report: Report, fields: Fields) -> Fields:
    """The fields, or none on an emulated machine."""
    return {} if emulated(report) else fields


def emulated(report: Report) -> bool:
    """Whether the machine was emulated: its times say nothing about a board and are not shown."""
    return bool(dig(report, "machine", "emulated"))


def core(report: Report) -> str:
    """The core type that was emulated, or the processor."""
    found = dig(report, "machine", "emulates") or dig(report, "machine", "cpu")
    return str(found or "this processor")


def latency(report: Report, name: str) -> Estimate | None:
    """The p50 latency in seconds, or None where it was not measured or was emulated."""
    if emulated(report):
        return None
    return estimate(variants(report), name, "latency", "p50")


def confidence(report: Report) -> float:
    """Confidence that the intervals are made for; 0.95 where the report does not say."""
    for fields in variants(report).values():
        for key in ("accuracy", "speedup", "agreement", "accuracy_drop"):
            found = number(fields, key, "confidence")
            if found is not None:
                return found
    return 0.95
