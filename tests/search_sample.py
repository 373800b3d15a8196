"""A realistic search.json, and the ladder of a repair, as dicts; the numbers are made up."""

from typing import Any

import numpy as np

from report_sample import interval

FAMILIES = {
    "ds_cnn": (9_000, 22_000, 60e-6),
    "lenet5": (62_000, 71_000, 110e-6),
    "mobilenet": (31_000, 48_000, 95e-6),
    "resnet8": (20_000, 33_000, 150e-6),
    "resnet14": (44_000, 61_000, 240e-6),
}
WIDTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
LIMIT = 50_000
RECIPE = """\
teacher:
  model: resnet14
distill:
  student: {student}
  model_args: '{{"width": {width}}}'
export:
  int8: true
"""


def search(count: int = 40, trained: int = 8) -> dict[str, Any]:
    """A whole search: of `count` candidates `trained` were, and the smallest that passes won."""
    found = [_candidate(i) for i in range(count)]
    found.sort(key=lambda one: one["screening"]["int8"]["size_bytes"])
    promising = [one for one in found if one["screened"] == "pass"]
    for i, one in enumerate(promising[-trained:] if trained else []):
        _train(one, i, trained)
    finalists = [one for one in found if one["state"] == "finalist"]
    met = [one for one in finalists if one["met"] == "pass"]
    for one in finalists:
        one["on_front"] = not any(_beats(other, one) for other in finalists)
    if met:
        met[0]["won"] = True
    verdict = ("pass" if met else "fail") if trained else "not trained"
    return {
        "schema": 1,
        "kind": "search",
        "created_utc": "2026-03-01T12:00:00+00:00",
        "versions": {"python": "3.11.2"},
        "target": "local",
        "data": "demo",
        "image": [28, 28, 1],
        "classes": 10,
        "goals": [_size_goal(), _accuracy_goal(), _speed_goal()],
        "deployed_precision": "int8",
        "teacher": {
            "name": "resnet14-w200-s2",
            "student": "resnet14",
            "model_args": {"width": 2.0},
            "parameters": 690_000,
            "latency": interval(2.1e-3, 2.08e-3, 2.13e-3),
            "size_bytes": 2_800_000,
            "validation": interval(0.922, 0.909, 0.933, n=2000) if trained else None,
        },
        "candidates": found,
        "rungs": [4, 10, 30] if trained else [],
        "epochs": sum((one["trained"] or {"epochs": 0})["epochs"] for one in found),
        "images": 2000,
        "winner": met[0]["name"] if met else None,
        "verdict": verdict,
        "distances": [] if met or not trained else [_distance(found)],
        "sentences": [f"{len(promising)} of {count} candidates may meet the goals."],
        "seconds": {"screening": 41.0, "teacher": 180.0, "training": 420.0, "judging": 66.0}
        if trained
        else {"screening": 41.0, "teacher": None, "training": 0.0, "judging": 0.0},
    }


def _size_goal() -> dict[str, Any]:
    return {"variant": "student_int8", "metric": "size", "bound": "max", "limit": LIMIT,
            "written": "50 kB", "vs": ""}  # fmt: skip


def _accuracy_goal() -> dict[str, Any]:
    return {"variant": "student_int8", "metric": "accuracy", "bound": "max_drop", "limit": 0.025,
            "written": "2.5 pt", "vs": "teacher"}  # fmt: skip


def _speed_goal() -> dict[str, Any]:
    return {"variant": "student_int8", "metric": "speedup.p50", "bound": "min", "limit": 5.0,
            "written": "5", "vs": "teacher"}  # fmt: skip


def _distance(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"goal": "student_int8 accuracy against teacher a drop of at most 2.5 pt",
            "best": found[0]["name"], "value": 0.04, "limit": 0.025,
            "sentence": f"student_int8 accuracy: {found[0]['name']} comes nearest, 1.5 points "
            "short."}  # fmt: skip


def _candidate(index: int) -> dict[str, Any]:
    family = list(FAMILIES)[index % len(FAMILIES)]
    width = WIDTHS[index // len(FAMILIES) % len(WIDTHS)]
    parameters, size, seconds = FAMILIES[family]
    size = round(size * width**1.7)
    seconds *= width**1.4
    fits = size <= LIMIT
    verdict = {**_size_goal(), "value": size, "low": size, "high": size,
               "status": "pass" if fits else "fail",
               "sentence": f"student_int8 size: {size / 1e3:.1f} kB, wanted at most 50 kB: "
               f"{'met' if fits else 'missed'}."}  # fmt: skip
    latency = interval(seconds, seconds * 0.98, seconds * 1.03)
    memory = interval(3.0 * size, 2.8 * size, 3.3 * size)
    return {
        "name": f"{family}-w{100 * width:.0f}" + ("" if index < 40 else f"-{index}"),
        "student": family,
        "model_args": {"width": width},
        "for_edge": False,
        "parameters": round(parameters * width**1.8),
        "macs": round(4e6 * width**1.8),
        "screening": {
            "int8": {"latency": latency, "size_bytes": size, "memory_bytes": memory},
            "float32": {"latency": latency, "size_bytes": 4 * size, "memory_bytes": memory},
        },
        "screened": "pass" if fits else "fail",
        "goals": [verdict],
        "state": "not trained" if fits else "screened out",
        "reason": "" if fits else f"Its file is {size / LIMIT:.2f} times as large as it may be.",
        "trained": None,
        "deployed": None,
        "met": None,
        "on_front": False,
        "won": False,
        "recipe": RECIPE.format(student=family, width=width),
    }


def _train(one: dict[str, Any], index: int, number: int) -> None:
    """Half of them are dropped after 4 or 10 epochs, the last but one fails."""
    size = one["screening"]["int8"]["size_bytes"]
    whole = index >= number // 2
    epochs = 30 if whole else (4, 10)[index % 2]
    right = 0.80 + 0.115 * (size / LIMIT) ** 0.5 - (0 if whole else 0.9 / (epochs + 4))
    curve = right - 0.3 * np.exp(-np.arange(1, epochs + 1) / 5)
    one["trained"] = {
        "epochs": epochs,
        "of": 30,
        "accuracies": [round(float(value), 4) for value in curve],
        "validation": interval(right, right - 0.013, right + 0.012, n=2000),
        "seconds": 3.0 * epochs,
    }
    if not whole:
        one.update(state="dropped", reason=f"Behind others after {epochs} of 30 epochs.")
        return
    status = "pass" if right >= 0.90 else "inconclusive" if right > 0.89 else "fail"
    one.update(state="finalist", met=status)
    one["deployed"] = {
        "accuracy": interval(right - 0.002, right - 0.016, right + 0.01, n=2000),
        "latency": one["screening"]["int8"]["latency"],
        "size_bytes": size + 120,
    }
    one["goals"] += [
        {**_accuracy_goal(), "value": 0.922 - right, "low": 0.912 - right, "high": 0.93 - right,
         "status": status, "sentence": "student_int8 accuracy drop against teacher: as it is."},
    ]  # fmt: skip


def _beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether one is no worse in accuracy, size and latency, and better in one."""
    values = [
        (found["deployed"]["accuracy"]["value"], -found["deployed"]["size_bytes"],
         -found["deployed"]["latency"]["value"])
        for found in (one, other)
    ]  # fmt: skip
    return values[0] != values[1] and all(a >= b for a, b in zip(*values, strict=True))


def repair() -> dict[str, Any]:
    """A ladder of six steps: the fifth keeps the budget."""
    return {
        "max_drop": 0.003,
        "images": 2000,
        "met": True,
        "asked": "all",
        "steps": [
            _step("plain", "plain int8", "kept", "ranges by percentile from 512 images",
                  (0.031, 0.022, 0.04), 0.21, 48_000, 4.1),
            _step("range_method", "another range method", "dropped", "tried mse and entropy",
                  (0.034, 0.024, 0.044), 0.25, 48_000, 9.8),
            _step("bias_correction", "bias correction", "kept", "14 biases corrected",
                  (0.012, 0.006, 0.018), 0.09, 48_100, 6.0),
            _step("equalization", "cross-layer equalisation", "skipped", "no pair of layers"),
            _step("float_layers", "sensitive layers in float", "failed", "int8 would be slower"),
            _step("qat", "quantisation-aware training with distillation", "kept",
                  "3 epochs; 99.8 % of logits within one step",
                  (0.0015, -0.0015, 0.0045), 0.02, 48_000, 71.0, delivered=True),
        ],
    }  # fmt: skip


def _step(
    name: str, title: str, status: str, said: str, drop: tuple[float, float, float] | None = None,
    kl: float | None = None, size: int | None = None, seconds: float = 0.0,
    delivered: bool = False,
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name,
        "title": title,
        "status": status,
        "said": said,
        "drop": None if drop is None else interval(*drop),
        "kl": kl,
        "size_bytes": size,
        "seconds": seconds,
        "delivered": delivered,
    }
