"""`bundle.json`: what the files of a bundle are, how they were made, and what was proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import BUNDLE, header, sha256_file, write_json
from compress.data.dataset import Dataset
from compress.models.checkpoint import LoadedModel
from compress_bench.metadata import without_folder
from compress_export.convert import count_parameters
from compress_export.evaluation import EVALUATION, GOLDEN

TEACHER, STUDENT, BASELINE, STUDENT_INT8 = "teacher", "student", "baseline", "student_int8"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One ONNX file of a bundle; its name is its role.

    Attributes:
        role: teacher, student, baseline (the student without teacher) or student_int8.
        file: name inside the bundle.
        precision: float32 or int8.
        model: the network it was made from.
        validation: accuracy on the validation split and the number of its images.
    """

    role: str
    file: str
    precision: str
    model: LoadedModel
    validation: Mapping[str, float | int]


def write_bundle(
    folder: Path,
    *,
    dataset: Dataset,
    variants: Sequence[Variant],
    checks: Mapping[str, Any],
    advice: Sequence[str],
    provenance: Mapping[str, Any],
) -> None:
    """Write bundle.json, last: it says that every other file is whole."""
    names = [variant.role for variant in variants]
    content = {
        **header("bundle"),
        "classes": list(dataset.classes),
        "data": {"reference": dataset.name, "fingerprint": dataset.fingerprint},
        "reference": TEACHER if TEACHER in names else STUDENT,
        "variants": {variant.role: _describe(folder, variant) for variant in variants},
        "evaluation": _file(folder, EVALUATION),
        "golden": _file(folder, GOLDEN),
        "history": {
            variant.role: list(variant.model.manifest["history"])
            for variant in variants
            if variant.precision == "float32" and variant.model.manifest.get("history")
        },
        "checks": dict(checks),
        "advice": list(advice),
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
        "parameters": count_parameters(variant.model),
        "network": without_folder(variant.model.name),
        "preprocessing": variant.model.preprocessing.to_dict(),
        "metrics": {"validation": dict(variant.validation)},
        "session": {},
    }


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"file": name, "sha256": sha256_file(folder / name)}
