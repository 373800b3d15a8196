"""What is wrong with an old report, before anything is measured for a comparison with it."""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any


def damage(report: Mapping[str, Any]) -> str:
    """The first field that is not as bench writes it, in words; empty where all is well.

    Args:
        report: from `load_report`, which has looked at what the views need too.
    """
    variants, resolution = report["variants"], report.get("resolution")
    if not variants:
        return "expected a report with variants, found none"
    if not isinstance(resolution, Mapping):
        return _not("resolution", "a table", resolution)
    least = resolution.get("smallest_difference")
    if least is not None and not _is_number(least):
        return _not("resolution.smallest_difference", "a number or null", least)
    if not isinstance(report.get("flags", []), list):
        return _not("flags", "a list", report["flags"])
    found = (_of_variant(name, fields) for name, fields in variants.items())
    return next((words for words in found if words), "")


def _of_variant(name: str, fields: Any) -> str:
    where = f"variants.{name}"
    if not isinstance(fields, Mapping):
        return _not(where, "a table", fields)
    if not _is_number(fields.get("size_bytes")) or fields["size_bytes"] <= 0:
        return _not(f"{where}.size_bytes", "a number above zero", fields.get("size_bytes"))
    if not (_is_untimed(fields) or _are_samples(fields.get("samples_seconds"))):
        return f"{where}.samples_seconds: expected a list of times above zero for each process"
    for part in ("session", "input_shapes"):
        if not isinstance(fields.get(part) or {}, Mapping):
            return _not(f"{where}.{part}", "a table", fields[part])
    return _of_numbers(where, fields) or _of_answers(where, fields)


def _of_numbers(where: str, fields: Mapping[str, Any]) -> str:
    """Of what is measured only where it can be: null, or a value with what belongs to it."""
    for part, needed in (("instructions", ("value",)), ("accuracy", ("value", "n"))):
        found = fields.get(part)
        if found is None:
            continue
        numbers = [found.get(key) if isinstance(found, Mapping) else None for key in needed]
        if not all(_is_number(number) for number in numbers):
            return _not(f"{where}.{part}", f"null, or {' and '.join(needed)}", found)
    counted = fields.get("instructions") or {}
    bounds = [counted.get(side) for side in ("low", "high")]
    if not all(bound is None or _is_number(bound) for bound in bounds):
        return _not(f"{where}.instructions", "bounds that are numbers or null", counted)
    return ""


def _of_answers(where: str, fields: Mapping[str, Any]) -> str:
    answers = fields.get("answers")
    if answers is None:
        return ""
    said = f"{where}.answers: expected null, or n, images_sha256 and a bit for each image"
    if not isinstance(answers, Mapping) or not isinstance(answers.get("images_sha256"), str):
        return said
    count, packed = answers.get("n"), answers.get("right_base64")
    if not isinstance(count, int) or count < 1 or not isinstance(packed, str):
        return said
    try:
        bits = 8 * len(base64.b64decode(packed, validate=True))
    except (binascii.Error, ValueError):
        return said
    return "" if count <= bits < count + 8 else said


def _are_samples(found: Any) -> bool:
    """Whether there are processes, each with times of which a logarithm can be taken."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(process, list) and process for process in found)
        and all(_is_number(seconds) and seconds > 0 for process in found for seconds in process)
    )


def _is_untimed(fields: Mapping[str, Any]) -> bool:
    """Whether a report says that there are no times, and why: of an emulated core."""
    return fields.get("samples_seconds") == [] and bool(fields.get("latency_reason"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _not(where: str, expected: str, found: Any) -> str:
    said = repr(found)
    return f"{where}: expected {expected}, found {said if len(said) <= 40 else 'something else'}"
