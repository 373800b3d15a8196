"""Sentences of a bundle on what its user should know before deploying it, with the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from compress_bench.report import format as shown
from compress_bench.subjects.evaluation_set import EVALUATION_BYTES
from compress_export.bundle import STUDENT, STUDENT_INT8, Variant
from compress_export.evaluation import EVALUATION

_USUAL_AGREEMENT = 0.95  # of int8 with float32; below it the ranges of activations are in doubt
_NAMED_ISLANDS = 3
_ROUNDING = 1e-9  # 3 of 1,000 images are 0.3 points
_WORTH_NAMING = 0.01  # of the time of all operators


def advise_size(kept: int, total: int) -> list[str]:
    """Whether the evaluation set holds all test images."""
    if kept == total:
        return []
    return [
        f"measured on {kept} of {total} test images, class-balanced, to keep {EVALUATION} under "
        f"{EVALUATION_BYTES // 10**6} MB"
    ]


def advise_int8(
    float32: Variant, int8: Variant, checks: Mapping[str, Any], max_drop: float
) -> list[str]:
    """Whether int8 is worth shipping.

    Args:
        float32: the student's entry in the bundle.
        int8: its quantised form's.
        checks: what was proven about int8, as `proof_dict` has it; "quality", "latency" and
            "islands" may be missing.
        max_drop: points of validation accuracy that it may cost.
    """
    sentences = (
        _accuracy(float32, int8, max_drop),
        _repair(checks.get("repair")),
        _undecided(int8, checks, max_drop),
        _agreement(float32, int8, float(checks["agreement"])),
        _latency(float32, checks.get("latency")),
        _float_layers(int8, checks),
        _islands(checks.get("islands", ())),
        _saturation(int8, checks),
    )
    return [sentence for sentence in sentences if sentence]


def recommend(
    float32: Variant, int8: Variant, checks: Mapping[str, Any], max_drop: float
) -> tuple[str, str]:
    """Which of the two files to deploy, by role, and why, in a phrase.

    Args:
        float32: the student's entry in the bundle.
        int8: its quantised form's.
        checks: what was proven about int8; "latency" is None where it was not measured.
        max_drop: points of validation accuracy that int8 may cost.
    """
    drop = _drop(float32, int8)
    loss = f"loses no accuracy on {int8.validation['n']} validation images"
    if drop > 0:
        loss = f"loses {drop:.2f} points of validation accuracy, --max-drop is {max_drop:g}"
    if drop > max_drop + _ROUNDING:
        return STUDENT, f"int8 {loss}"
    latency = checks.get("latency")
    if not latency:
        return STUDENT_INT8, f"int8 {loss}; its speed was not measured"
    if latency["verdict"] != "faster":
        return STUDENT, f"int8 is not faster on this machine ({_ratio(latency)})"
    return STUDENT_INT8, f"int8 is faster on this machine ({_ratio(latency)}) and {loss}"


def _drop(float32: Variant, int8: Variant) -> float:
    """Points of validation accuracy."""
    before, after = (float(variant.validation["accuracy"]) for variant in (float32, int8))
    return 100 * (before - after)


def _accuracy(float32: Variant, int8: Variant, max_drop: float) -> str:
    drop = _drop(float32, int8)
    if drop <= max_drop + _ROUNDING:
        return ""
    before, after = (float(variant.validation["accuracy"]) for variant in (float32, int8))
    return (
        f"int8 loses {drop:.2f} points of validation accuracy ({100 * before:.2f} % float32, "
        f"{100 * after:.2f} % int8, {int8.validation['n']} images; "
        f"--max-drop {max_drop:g}): deploy {float32.file} (float32)"
    )


def _repair(repaired: Mapping[str, Any] | None) -> str:
    """What was tried in vain, and what is left to try; nothing where the budget is met."""
    if not repaired or repaired["met"]:
        return ""
    steps = repaired["steps"][1:]
    tried = [step["title"] for step in steps if step["status"] in ("kept", "dropped")]
    rest = [step["name"] for step in steps if step["status"] in ("kept", "dropped", "failed")]
    done = f"{', '.join(tried)} did not bring int8 within" if tried else "nothing was done to keep"
    advice = "train with another seed or longer, or choose a student without its outliers"
    if "qat" in rest:
        advice = "give more --qat-epochs, or another --qat-lr"
    elif repaired["asked"] != "all":
        advice = "give --repair all"
    return f"{done} --max-drop {100 * repaired['max_drop']:g}: {advice}"


def _undecided(int8: Variant, checks: Mapping[str, Any], max_drop: float) -> str:
    """Whether the drop's interval holds the budget, so that the images do not decide."""
    drop = checks.get("quality", {}).get("drop")
    if not drop or drop["low"] is None or drop["high"] is None:
        return ""
    low, high = 100 * drop["low"], 100 * drop["high"]
    if not low <= max_drop <= high:
        return ""
    return (
        f"{int8.validation['n']} validation images do not decide whether int8 keeps --max-drop "
        f"{max_drop:g}: its drop is between {low:.2f} and {high:.2f} points; "
        "give more validation images to know"
    )


def _agreement(float32: Variant, int8: Variant, agreement: float) -> str:
    if agreement >= _USUAL_AGREEMENT:
        return ""
    return (
        f"int8 agrees with float32 on only {100 * agreement:.1f} % of {int8.validation['n']} "
        f"validation images, {100 * _USUAL_AGREEMENT:.0f} % or more is usual: give more "
        "--calibration-images, or look at the accuracy of both"
    )


def _latency(float32: Variant, latency: Mapping[str, Any] | None) -> str:
    """Where int8 is not faster: by how much, and what is left of its use."""
    if not latency or latency["verdict"] == "faster":
        return ""
    slower = latency["verdict"] == "slower"
    return (
        f"int8 is {'slower' if slower else 'not clearly faster'} than float32 on this machine "
        f"({_ratio(latency)}): its smaller size is its only gain here; deploy {float32.file} "
        "(float32), or measure on the board with compress bench"
    )


def _ratio(latency: Mapping[str, Any]) -> str:
    """Both times, and their ratio with its interval."""
    before, after = (
        shown.seconds(shown.Estimate(latency[f"{name}_seconds"])).text
        for name in ("float32", "int8")
    )
    ratio = latency["ratio"]
    speed = shown.ratio(shown.Estimate(ratio["value"], ratio["low"], ratio["high"])).full
    return f"{before} float32, {after} int8, {speed} as fast, {_threads(latency['threads'])}"


def _threads(threads: int | None) -> str:
    if threads is None:
        return "all cores"
    return "1 thread" if threads == 1 else f"{threads} threads"


def _float_layers(int8: Variant, checks: Mapping[str, Any]) -> str:
    """How many layers onnxruntime does not compute in integers, of each kind that there is."""
    kinds = {"convolutions": "convolutions", "products": "matrix products (Gemm, MatMul)"}
    floats = {kind: checks[kind] - checks[f"integer_{kind}"] for kind in kinds}
    if not any(floats.values()):
        return ""
    counts = [f"{floats[kind]} of {checks[kind]} {kinds[kind]}" for kind in kinds if checks[kind]]
    timed = "" if checks.get("latency") else ": measure whether it is faster before you deploy it"
    return f"{' and '.join(counts)} stay float in {int8.file}{timed}"


def _islands(islands: Sequence[Mapping[str, Any]]) -> str:
    """The costliest float islands, where they cost something."""
    timed = [island for island in islands if island.get("share") is not None]
    share = sum(island["share"] for island in timed)
    if share < _WORTH_NAMING:
        return ""
    named = "; ".join(_island(island) for island in timed[:_NAMED_ISLANDS])
    more = f"; and {len(timed) - _NAMED_ISLANDS} more" if len(timed) > _NAMED_ISLANDS else ""
    count = "1 float island takes" if len(timed) == 1 else f"{len(timed)} float islands take"
    return f"{count} {100 * share:.0f} % of int8's time: {named}{more}"


def _island(island: Mapping[str, Any]) -> str:
    cost = shown.seconds(shown.Estimate(island["seconds"])).text
    return (
        f"{island['operator']} in {island['module']} ({cost}, {100 * island['share']:.0f} %), "
        f"for {island['reason']}"
    )


def _saturation(int8: Variant, checks: Mapping[str, Any]) -> str:
    """A foreign quantised file whose sums overflow; ours has none."""
    layers = checks.get("saturating_layers") or {}
    if not layers:
        return ""
    return (
        f"{checks['saturating_pairs']} pairs of weights in {len(layers)} layers of {int8.file} "
        "can overflow 16 bits: it answers otherwise on x86 CPUs without VNNI"
    )
