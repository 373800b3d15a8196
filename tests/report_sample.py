"""A realistic report.json as a dict, for the tests of the views; the numbers are made up."""

import base64
import copy
import io
from typing import Any

import numpy as np
from PIL import Image

CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


def build_report() -> dict[str, Any]:
    """A whole report: teacher, student, baseline and int8 student, three goals, all met."""
    return {
        "schema": 1,
        "kind": "report",
        "created_utc": "2026-03-01T12:00:00+00:00",
        "versions": {"python": "3.11.2", "numpy": "2.4.6", "onnxruntime": "1.31.1"},
        "command": "compress bench runs/bundle --goals goals.toml",
        "verdict": {"status": "pass", "goals": _goals()},
        "machine": {
            "machine": "x86_64",
            "cpu": "AMD EPYC 7B13",
            "cores": 2,
            "memory_bytes": 8_331_000_000,
            "kernel": "6.1.0",
            "python": "3.11.2",
            "numpy": "2.4.6",
            "onnxruntime": "1.31.1",
            "isa": ["avx2", "avx512f", "avx512_vnni"],
            "governor": None,
            "emulated": False,
        },
        "settings": {
            "threads": 1,
            "batch_size": 1,
            "profile": "standard",
            "processes": 5,
            "rounds": 10,
            "reference": "teacher",
        },
        "data": {"reference": "demo", "n": 2000, "classes": CLASSES},
        "resolution": {"ratio_low": 0.988, "ratio_high": 1.013, "smallest_difference": 0.013},
        "flags": ["contended"],
        "notes": [],
        "variants": _variants(),
        "history": {"teacher": _curve(22, 0.921), "student": _curve(30, 0.893),
                    "baseline": _curve(30, 0.88)},
        "disagreements": _disagreements(24),
        "comparison": interval(0.012, 0.004, 0.02),
        "int8_comparison": interval(0.0015, -0.002, 0.005),
    }  # fmt: skip


def interval(value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """An interval as report.json holds it."""
    return {"value": value, "low": low, "high": high, "confidence": 0.95, **more}


def changed(report: dict[str, Any], value: Any, *path: str) -> dict[str, Any]:
    """A copy of `report` with `value` under the nested keys `path`."""
    found = copy.deepcopy(report)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


def bare_report() -> dict[str, Any]:
    """What bench can say of two ONNX files without images, roles, goals or history."""
    report = build_report()
    teacher, student = report["variants"]["teacher"], report["variants"]["student"]
    for fields in (teacher, student):
        nulls = ("role", "network", "accuracy", "accuracy_drop", "agreement", "confusion")
        fields.update(dict.fromkeys((*nulls, "worst_class", "memory", "parameters")))
    student["speedup"]["vs"] = "large"
    report["settings"]["reference"] = "large"
    nulls = (
        "data",
        "history",
        "disagreements",
        "comparison",
        "int8_comparison",
        "resolution",
        "verdict",
    )
    return {
        **report,
        **dict.fromkeys(nulls),
        "variants": {"large": teacher, "small": student},
        "flags": [],
    }


def _goals() -> list[dict[str, Any]]:
    return [
        {
            "variant": "student_int8",
            "metric": "latency.p50",
            "limit": 0.005,
            "value": 0.000113,
            "low": 0.000112,
            "high": 0.000115,
            "vs": None,
            "status": "pass",
            "sentence": "student_int8 latency.p50: 113 us (112 us to 115 us at 95 %), "
            "wanted at most 5 ms: met.",
            "remedy": None,
        },
        {
            "variant": "student_int8",
            "metric": "speedup.p50",
            "limit": 3,
            "value": 30.2,
            "low": 29.8,
            "high": 30.7,
            "vs": "teacher",
            "status": "pass",
            "sentence": "student_int8 speedup.p50 against teacher: 30.2x (29.8x to 30.7x at 95 %), "
            "wanted at least 3: met.",
            "remedy": None,
        },
        {
            "variant": "student_int8",
            "metric": "accuracy",
            "limit": 0.05,
            "value": 0.031,
            "low": 0.02,
            "high": 0.042,
            "vs": "teacher",
            "status": "pass",
            "sentence": "student_int8 accuracy drop against teacher: 3.10 pt (2.00 pt to 4.20 pt "
            "at 95 %), wanted a drop of at most 5 pt: met.",
            "remedy": None,
        },
    ]


def _variants() -> dict[str, Any]:
    teacher = _variant("teacher", "resnet20", 272_474, 1_101_204, 0.003412)
    teacher.update(
        accuracy=interval(0.9185, 0.9057, 0.9297, n=2000), speedup=None, accuracy_drop=None
    )
    teacher["agreement"] = None
    student = _variant("student", "lenet5", 61_706, 249_312, 0.000181)
    student.update(
        accuracy=interval(0.889, 0.8745, 0.902, n=2000),
        accuracy_drop=interval(0.0295, 0.0185, 0.0405, vs="teacher"),
        agreement=interval(0.915, 0.902, 0.9264, n=2000),
        speedup=_speedup(18.85, 18.6, 19.1),
    )
    baseline = _variant("baseline", "lenet5", 61_706, 249_312, 0.000182)
    baseline.update(
        accuracy=interval(0.877, 0.8619, 0.8907, n=2000),
        accuracy_drop=interval(0.0415, 0.03, 0.053, vs="teacher"),
        agreement=interval(0.8975, 0.8834, 0.91, n=2000),
        speedup=_speedup(18.75, 18.5, 19.0),
    )
    int8 = _variant("student_int8", "lenet5", 61_706, 70_884, 0.000113)
    int8.update(
        accuracy=interval(0.8875, 0.8729, 0.9006, n=2000),
        accuracy_drop=interval(0.031, 0.02, 0.042, vs="teacher"),
        agreement=interval(0.9135, 0.9004, 0.925, n=2000),
        speedup=_speedup(30.2, 29.8, 30.7),
        precision="int8",
        file="student.int8.onnx",
    )
    return {"teacher": teacher, "student": student, "baseline": baseline, "student_int8": int8}


def _speedup(value: float, low: float, high: float) -> dict[str, Any]:
    return interval(value, low, high, resolvable=True, vs="teacher")


def _variant(role: str, network: str, parameters: int, size: int, p50: float) -> dict[str, Any]:
    return {
        "role": role,
        "file": f"{role}.onnx",
        "network": network,
        "precision": "float32",
        "sha256": (role.encode().hex() * 8)[:64],
        "size_bytes": size,
        "parameters": parameters,
        "latency": {
            "n": 450,
            "unit": "seconds",
            "p50": interval(p50, p50 * 0.991, p50 * 1.013),
            "p90": interval(p50 * 1.2, p50 * 1.15, p50 * 1.3),
            "p99": None,
            "p99_reason": "p99 needs at least 662 samples, found 450",
            "mean": p50 * 1.05,
            "min": p50 * 0.95,
            "max": p50 * 3,
        },
        "throughput": 1 / p50,
        "memory": {
            "baseline_bytes": 41_000_000,
            "peak_bytes": 41_000_000 + 4 * size,
            "model_bytes": 4 * size,
        },
        "cold_start": {"session_seconds": 0.021, "first_seconds": 0.004},
        "worst_class": {"class": "Shirt", "accuracy": 0.69},
        "confusion": _confusion(),
        "samples_seconds": _samples(role, p50),
    }


def _samples(role: str, p50: float) -> list[list[float]]:
    """Five processes of nine inferences, each process with a pace of its own."""
    rng = np.random.default_rng(len(role))
    return (p50 * rng.normal(1, 0.01, (5, 1)) * rng.normal(1, 0.03, (5, 9))).tolist()


def _confusion() -> list[list[int]]:
    """200 images a class; rows are true classes. Shirts are hard, as everyone knows."""
    rows = np.eye(10, dtype=int) * 180
    for i in range(10):
        rows[i, (i + 2) % 10] += 14
        rows[i, (i + 4) % 10] += 6
    rows[6] = [26, 0, 18, 6, 12, 0, 138, 0, 0, 0]
    return [[int(cell) for cell in row] for row in rows]


def _curve(epochs: int, best: float) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "lr": 0.05 * (1 - epoch / (epochs + 1)),
            "loss": 1.2 - best + 1.6 * float(np.exp(-epoch / 4)),
            "train_accuracy": best + 0.02 - 0.4 * float(np.exp(-epoch / 3)),
            "validation_accuracy": best - 0.35 * float(np.exp(-epoch / 3)),
            "seconds": 3.4,
        }
        for epoch in range(1, epochs + 1)
    ]


def _disagreements(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "index": 17 * i,
            "label": i % 10,
            "predictions": {
                "teacher": i % 10,
                "student": (i + 2) % 10,
                "baseline": (i + 2) % 10,
                "student_int8": (i + 4) % 10,
            },
            "confidence": {"teacher": 0.97, "student": 0.61, "baseline": 0.5, "student_int8": 0.58},
            "png": png(rng.integers(0, 256, (28, 28), dtype=np.uint8)),
        }
        for i in range(count)
    ]


def png(pixels: np.ndarray) -> str:
    """Base64 of an image's PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
