"""A realistic report.json as a dict, for the tests of the views; the numbers are made up."""

import base64
import copy
import io
from collections.abc import Iterable
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


# What bench measures beyond the above; `build_report` alone is a report of before.


def full_report() -> dict[str, Any]:
    """The whole report with every field that bench can fill, on two runtimes."""
    report = build_report()
    found = report["variants"]
    for name in tuple(found):
        found[name].update(_measured(name, found[name]["latency"]["p50"]["value"]))
    for name in ("student", "student_int8"):
        found[f"{name}@openvino"] = _on_openvino(name, found[name])
    p50 = found["teacher"]["latency"]["p50"]["value"]
    report["resolution"]["samples_seconds"] = _long_samples("copy", p50)
    report["settings"].update(
        fps=30.0, time_cap_seconds=300.0, runtimes=["onnxruntime", "openvino"],
        sustained_seconds=60.0, mode="paced", spinning=False, seed=0,
    )  # fmt: skip
    report["machine"].update(openvino="2026.4.1")
    report.update(environment=_environment(), sweep=_sweep(found), baseline=_baseline())
    report["verdict"]["goals"].append(_baseline_goal())
    return report


def _measured(name: str, p50: float) -> dict[str, Any]:
    is_reference = name == "teacher"
    memory = {"baseline_bytes": 41_000_000, "peak_bytes": 45_404_816, "model_bytes": 4_404_816}
    return {
        "runtime": "onnxruntime",
        "threads": 1,
        "spinning": False,
        "macs": 40_813_184 if is_reference else 416_520,
        "samples_seconds": _long_samples(name, p50),
        "answers": right_answers(range(160)),
        "latency": _latency(p50),
        "cpu": {"seconds_per_inference": around(p50 * 0.99, 0.006), "wall_over_cpu": 1.01},
        "instructions": around(p50 * 9.1e9, 0.0001),
        "instructions_source": "perf_event",
        "energy": {"joules_per_inference": around(p50 * 14, 0.03), "source": "RAPL package"},
        "memory": {**memory, "pss_bytes": 40_100_000, "private_dirty_bytes": 33_400_000},
        "cold_start": _cold_start(0.025 if is_reference else 0.011, p50),
        "negative_flips": None
        if is_reference
        else interval(0.056, 0.0462, 0.0677, n=1837, vs="teacher"),
        "calibration_error": interval(0.021, 0.0144, 0.0308, bins=15),
        "paced": _paced(p50),
        "sustained": _sustained(p50, 0.05 + 0.02 * len(name)),
        "layers": _layers(name, p50),
    } | ({} if is_reference else {"speedup": _verdict(name)})


def right_answers(wrong: Iterable[int]) -> dict[str, Any]:
    """2,000 images as a report keeps them, all right but those of the given numbers."""
    bits = np.ones(2000, bool)
    bits[list(wrong)] = False
    packed = base64.b64encode(np.packbits(bits).tobytes()).decode()
    return {"n": 2000, "right_base64": packed, "images_sha256": "a1" * 32}


def around(value: float, share: float) -> dict[str, Any]:
    """An interval of `share` to both sides of a value."""
    return interval(value, value * (1 - share), value * (1 + share))


def _verdict(name: str) -> dict[str, Any]:
    found = {"student": 18.85, "baseline": 18.75, "student_int8": 30.2}[name]
    return _speedup(found, found * 0.986, found * 1.016) | {"verdict": "faster"}


def _latency(p50: float) -> dict[str, Any]:
    return {
        "n": 700,
        "unit": "seconds",
        "p50": interval(p50, p50 * 0.991, p50 * 1.013),
        "p90": interval(p50 * 1.06, p50 * 1.05, p50 * 1.08),
        "p95": interval(p50 * 1.12, p50 * 1.08, p50 * 1.22),
        "p99": interval(p50 * 1.55, p50 * 1.4, p50 * 1.9),
        "mean": p50 * 1.03,
        "min": p50 * 0.93,
        "max": p50 * 3.1,
    }


def _long_samples(name: str, p50: float) -> list[list[float]]:
    """Five processes of 140 inferences: a narrow body and a tail of one in twenty."""
    rng = np.random.default_rng(len(name))
    body = p50 * rng.normal(1, 0.008, (5, 1)) * rng.normal(1, 0.025, (5, 140))
    tail = np.where(rng.random((5, 140)) < 0.05, rng.gamma(2, 0.2, (5, 140)), 0)
    return [[float(f"{value:.4g}") for value in row] for row in body * (1 + tail)]


def _cold_start(session: float, p50: float) -> dict[str, Any]:
    phases = {
        "python_seconds": 0.022,
        "import_numpy_seconds": 0.047,
        "import_runtime_seconds": 0.031,
        "session_seconds": session,
        "first_seconds": p50 * 1.9,
    }
    total = sum(phases.values())
    paces = (0.94, 0.98, 1.0, 1.01, 1.12)
    return {
        **phases,
        "import_seconds": 0.078,
        "second_seconds": p50 * 1.05,
        "total_seconds": {"value": total, "low": 0.94 * total, "high": 1.12 * total,
                          "confidence": 1.0},
        "samples_seconds": [{key: value * pace for key, value in phases.items()} for pace in paces],
        "processes": 5,
    }  # fmt: skip


def _paced(p50: float) -> dict[str, Any]:
    slow = p50 * 1.35  # caches and clocks cool down between frames
    missed = interval(0.0, 0.0, 0.0041)
    return {
        "fps": 30.0,
        "frames": 900,
        "deadline_seconds": 1 / 30,
        "missed": missed,
        "p50": around(slow, 0.03),
        "p90": around(slow * 1.3, 0.05),
        "p99": around(slow * 2.4, 0.2),
        "cpu_seconds_per_frame": around(slow * 0.97, 0.04),
    }


def _sustained(p50: float, slower: float) -> dict[str, Any]:
    windows = [p50 * (1 + slower / (1 + np.exp(-(i - 6) / 1.2))) for i in range(12)]
    return {
        "seconds": 60.0,
        "window_seconds": 5.0,
        "burst": around(p50, 0.01),
        "sustained": around(p50 * (1 + slower), 0.012),
        "ratio": around(1 + slower, 0.015),
        "windows_seconds": [float(value) for value in windows],
        "celsius": [48.0 + 2.5 * i for i in range(12)],
        "khz": [2_400_000.0] * 6 + [1_800_000.0] * 6,
    }


_TEACHER = ("layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer2.0.conv2",
            "layer2.0.shortcut.0", "layer3.2.conv2", "conv1", "fc")  # fmt: skip
_STUDENT = ("features.0", "features.3", "classifier.0", "classifier.2", "classifier.4")


def _layers(name: str, p50: float) -> dict[str, Any]:
    modules = _TEACHER if name == "teacher" else _STUDENT
    weights = [0.5**i + 0.05 for i in range(len(modules))]
    rows = []
    for i, (module, weight) in enumerate(zip(modules, weights, strict=True)):
        is_float = name != "student_int8" or i == 1
        share = weight / sum(weights)
        seconds = p50 * share
        rows.append(
            {
                "module": module,
                "operators": ["FusedConv" if is_float else "QLinearConv"],
                "seconds": seconds,
                "low": seconds * 0.95,
                "high": seconds * 1.06,
                "share": share,
                "kind": "float" if is_float else "integer",
                "macs": 3_538_944,
            }
        )
    islands = [{key: rows[1][key] for key in ("module", "operators", "seconds", "share")}]
    return {
        "runs": 40,
        "seconds": p50,
        "rows": rows,
        "islands": islands if name == "student_int8" else [],
    }


def _on_openvino(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The same file by another runtime: faster, and two answers in a thousand differ."""
    found = copy.deepcopy(fields)
    p50 = fields["latency"]["p50"]["value"] * 0.7
    gain = fields["speedup"]["value"] / 0.7
    found.update(
        runtime="openvino",
        threads=2,
        latency=_latency(p50),
        samples_seconds=_long_samples(f"{name}@openvino", p50),
        speedup=_speedup(gain, gain * 0.98, gain * 1.02) | {"verdict": "faster"},
        throughput=1 / p50,
        cpu={"seconds_per_inference": around(p50 * 1.9, 0.01), "wall_over_cpu": 0.53},
        instructions=None,
        instructions_reason="the kernel does not let this process count",
        layers=None,
        layers_reason="openvino's profile is not read",
    )
    return found


def _environment() -> list[dict[str, Any]]:
    return [
        {"process": i, "round": j, "khz": 2_400_000.0 - 50_000 * i, "celsius": 50.0 + j,
         "load": 0.4 + 0.1 * i}
        for i in range(5) for j in range(10)
    ]  # fmt: skip


def _sweep(found: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name in ("teacher", "student_int8"):
        p50 = found[name]["latency"]["p50"]["value"]
        for threads, spinning, pace, cpu in (
            (1, False, 1.0, 1.0),
            (2, False, 0.62, 1.15),
            (2, True, 0.58, 1.9),
        ):
            rows.append(
                {"variant": name, "threads": threads, "spinning": spinning,
                 "p50": around(p50 * pace, 0.02),
                 "cpu_seconds_per_inference": around(p50 * cpu, 0.015),
                 "cpu_seconds_per_frame": around(p50 * cpu * (5 if spinning else 1.2), 0.05)}
            )  # fmt: skip
    reasons = {
        "teacher": "38 % faster than one thread for 15 % more CPU time",
        "student_int8": "more threads gain less than they cost",
    }
    chosen = {"teacher": 2, "student_int8": 1}
    recommended = {
        name: {"threads": chosen[name], "spinning": False, "reason": reason}
        for name, reason in reasons.items()
    }
    return {"rows": rows, "recommended": recommended}


def _baseline() -> dict[str, Any]:
    return {
        "file": "old.json",
        "created_utc": "2026-02-01T12:00:00+00:00",
        "same_machine": True,
        "reason": "",
    }


def _baseline_goal() -> dict[str, Any]:
    return {
        "variant": "student_int8",
        "metric": "instructions",
        "bound": "max",
        "limit": 1_035_150,
        "value": 1_030_400,
        "low": 1_030_200,
        "high": 1_030_600,
        "vs": "--baseline",
        "status": "pass",
        "sentence": "student_int8 instructions: 1,030,400 (1,030,200 to 1,030,600 at 95 %), wanted "
        "at most 0.5 % more than the old report's 1,030,000: met.",
        "remedy": None,
    }
