"""Which classes a variant takes for which."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence

GOAL = None


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`confusion`: counts [true class][answer]."""
    if evidence.images is None or not evidence.answered(variant):
        return {"confusion": None}
    classes = len(evidence.images.classes)
    cells = evidence.images.labels * classes + evidence.predictions(variant)
    counts = np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
    return {"confusion": counts.tolist()}
