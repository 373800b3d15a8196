"""Sentences of a bundle on what its user should know before deploying it, with the numbers."""

from collections.abc import Mapping
from typing import Any

from compress_bench.evaluation_set import EVALUATION_BYTES
from compress_export.bundle import Variant
from compress_export.evaluation import EVALUATION

_USUAL_AGREEMENT = 0.95  # of int8 with float32; below it the ranges of activations are in doubt


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
        checks: what was proven about int8: its census, and its agreement with float32.
        max_drop: points of validation accuracy that it may cost.
    """
    sentences = (
        _accuracy(float32, int8, max_drop),
        _agreement(float32, int8, float(checks["agreement"])),
        _float_layers(int8, checks),
    )
    return [sentence for sentence in sentences if sentence]


def _accuracy(float32: Variant, int8: Variant, max_drop: float) -> str:
    before, after = (float(variant.validation["accuracy"]) for variant in (float32, int8))
    drop = 100 * (before - after)
    if drop <= max_drop:
        return ""
    return (
        f"int8 loses {drop:.2f} points of validation accuracy ({100 * before:.2f} % float32, "
        f"{100 * after:.2f} % int8, {int8.validation['n']} images; "
        f"--max-drop {max_drop:g}): deploy {float32.file} (float32)"
    )


def _agreement(float32: Variant, int8: Variant, agreement: float) -> str:
    if agreement >= _USUAL_AGREEMENT:
        return ""
    return (
        f"int8 agrees with float32 on only {100 * agreement:.1f} % of {int8.validation['n']} "
        f"validation images, {100 * _USUAL_AGREEMENT:.0f} % or more is usual: give more "
        f"--calibration-images, or deploy {float32.file} (float32)"
    )


def _float_layers(int8: Variant, checks: Mapping[str, Any]) -> str:
    """How many layers onnxruntime does not compute in integers, of each kind that there is."""
    kinds = {"convolutions": "convolutions", "products": "matrix products (Gemm, MatMul)"}
    floats = {kind: checks[kind] - checks[f"integer_{kind}"] for kind in kinds}
    if not any(floats.values()):
        return ""
    counts = [f"{floats[kind]} of {checks[kind]} {kinds[kind]}" for kind in kinds if checks[kind]]
    return (
        f"{' and '.join(counts)} stay float in {int8.file}: "
        "measure whether it is faster before you deploy it"
    )
