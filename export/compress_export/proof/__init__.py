"""What an int8 file is, proven: read from the file itself, counted, measured.

`proof_dict` puts all of it into the form that bundle.json holds as checks["int8"]; the advice and
the terminal read it there.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress_export.proof.bias import BiasAudit
    from compress_export.proof.census import Census
    from compress_export.proof.latency import Race
    from compress_export.proof.quality import Quality

_FAULTS = ("saturated_biases", "overflowing_sums", "unlike_scales")


def proof_dict(
    *,
    census: "Census",
    audit: "BiasAudit",
    quality: "Quality",
    race: "Race | None",
    calibration: Mapping[str, Any],
    calibration_images: int,
) -> dict[str, Any]:
    """Everything that was proven of an int8 file, as JSON can hold it.

    Args:
        census: of operators, with the float islands.
        audit: of sums and pairs.
        quality: on the validation split.
        race: against float32; None where it was not run.
        calibration: {"method": the one taken, "tried": a row of figures for each method tried}.
        calibration_images: that set the ranges.

    Returns:
        The census's fields, with "islands" a list; "saturating_pairs", and of which layers;
        "sums" (32-bit); "quality"; "latency" or None; "calibration"; and, for readers of older
        bundles, "agreement" and "method".
    """
    return {
        **asdict(census),
        "islands": [
            asdict(island) | {"modules": list(island.modules)} for island in census.islands
        ],
        "saturating_pairs": audit.total("saturating_pairs"),
        "saturating_layers": {
            layer.node: layer.saturating_pairs for layer in audit.layers if layer.saturating_pairs
        },
        "sums": _sums(audit),
        "quality": quality.to_dict(),
        "latency": None if race is None else race.to_dict(),
        "calibration": dict(calibration),
        "agreement": quality.agreement.value,
        "method": calibration["method"],
        "calibration_images": calibration_images,
    }


def _sums(audit: "BiasAudit") -> dict[str, Any]:
    """The audit of 32-bit sums: faults by kind, the fullest layer, and those past half."""
    return {
        "layers": len(audit.layers),
        **{fault: audit.total(fault) for fault in _FAULTS},
        "largest_bias": max((layer.largest_bias for layer in audit.layers), default=0.0),
        "largest_sum": max((layer.largest_sum for layer in audit.layers), default=0.0),
        "near": [
            {
                "node": layer.node,
                "largest_bias": layer.largest_bias,
                "largest_sum": layer.largest_sum,
            }
            for layer in audit.near
        ],
    }
