"""Where one inference's time goes, by torch module, and what float islands cost."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.graph.layer_table import Island, Row, lay_out

GOAL = None


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`layers`: rows in the order of execution and islands, in seconds; None with the reason."""
    profiled = evidence.profiles.get(variant)
    if profiled is None or evidence.untimed:
        return {"layers": None, "layers_reason": why_not(evidence, variant)}
    table = lay_out(profiled)
    fields = {"runs": table.runs, "seconds": table.seconds}
    return {"layers": fields | {"rows": _listed(table.rows), "islands": _listed(table.islands)}}


def _listed(parts: Sequence[Row] | Sequence[Island]) -> list[dict[str, Any]]:
    """Rows or islands as JSON reads them back."""
    return [asdict(part) | {"operators": list(part.operators)} for part in parts]


def why_not(evidence: Evidence, variant: str) -> str:
    """Why a variant has no times of layers."""
    if evidence.untimed:
        return evidence.untimed
    runtime, gap = evidence.variants[variant].runtime, evidence.gap("layers", variant)
    if gap is not None:
        return gap.reason
    if runtime != "onnxruntime":
        return f"{runtime} is not profiled; onnxruntime is"
    if not evidence.profiles and "profiles" not in evidence.asked:
        return "layers were not timed; leave --no-layers out"
    return "it could not be profiled, or the time cap left no time for it"
