"""`bundle.json`: what the files of a bundle are, how they were made, and what was proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import BUNDLE, header, sha256_file, write_json
from compress.data.dataset import Dataset
from compress_bench.metadata import without_folder
from compress_export.evaluation import EVALUATION, GOLDEN
from compress_export.sources import Source

TEACHER, STUDENT, BASELINE, STUDENT_INT8 = "teacher", "student", "baseline", "student_int8"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One ONNX file of a bundle; its name is its role.

    Attributes:
        role: teacher, student, baseline (the student without teacher) or student_int8.
        file: name inside the bundle.
        precision: float32 or int8.
        source: the network it was made from.
        validation: accuracy on the validation split and the number of its images.
    """

    role: str
    file: str
    precision: str
    source: Source
    validation: Mapping[str, float | int]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an export found out.

    Attributes:
        checks: what was proven, by topic.
        advice: sentences that the user should know before a file is deployed.
        recommended: the variant to deploy, on this machine's evidence.
        reason: for it, in a phrase; empty where there is no choice.
    """

    checks: Mapping[str, Any]
    advice: Sequence[str]
    recommended: str
    reason: str


def write_bundle(
    folder: Path,
    *,
    dataset: Dataset,
    variants: Sequence[Variant],
    findings: Findings,
    provenance: Mapping[str, Any],
) -> None:
    """Write bundle.json, last: it says that every other file is whole."""
    names = [variant.role for variant in variants]
    content = {
        **header("bundle"),
        "classes": list(dataset.classes),
        "data": {"reference": without_folder(dataset.name), "fingerprint": dataset.fingerprint},
        "reference": TEACHER if TEACHER in names else STUDENT,
        "variants": {variant.role: _describe(folder, variant) for variant in variants},
        "evaluation": _file(folder, EVALUATION),
        "golden": _file(folder, GOLDEN),
        "history": {
            variant.role: list(variant.source.history)
            for variant in variants
            if variant.precision == "float32" and variant.source.history
        },
        "checks": dict(findings.checks),
        "advice": list(findings.advice),
        "recommended": {"variant": findings.recommended, "reason": findings.reason},
        "provenance": dict(provenance),
    }
    write_json(folder / BUNDLE, content)


def _describe(folder: Path, variant: Variant) -> dict[str, Any]:
    return {
        "file": variant.file,
        "role": variant.role,
        "precision": variant.precision,
        "sha256": sha256_file(folder / variant.file),
        "size_bytes": (folder / variant.file).stat().st_size,
        "parameters": variant.source.parameters,
        "network": without_folder(variant.source.name),
        "preprocessing": variant.source.preprocessing.to_dict(),
        "metrics": {"validation": dict(variant.validation)},
        "session": {},
    }


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"file": name, "sha256": sha256_file(folder / name)}
