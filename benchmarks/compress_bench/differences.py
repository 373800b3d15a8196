"""Where two variants part: single images, and accuracy paired on the same images."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compress_bench.evidence import Evidence
from compress_bench.statistics import matched_difference

MOST = 24
LARGEST_PIXELS = 128  # side of a picture in the report


def disagreements(evidence: Evidence) -> list[dict[str, Any]]:
    """Up to 24 test images that the reference and the int8 (or last) variant see differently.

    Those come first of which both are surest.
    """
    student = _counterpart(evidence)
    if evidence.images is None or student is None or not len(evidence.images.images):
        return []
    sure = {name: answers.confidence for name, answers in evidence.answers.items()}
    answers = {name: evidence.predictions(name) for name in evidence.answers}
    surest = sure[evidence.reference] * sure[student]
    apart = np.flatnonzero(answers[evidence.reference] != answers[student])
    chosen = apart[np.argsort(-surest[apart], kind="stable")][:MOST]
    return [
        {
            "index": int(index),
            "label": int(evidence.images.labels[index]),
            "predictions": {name: int(answer[index]) for name, answer in answers.items()},
            "confidence": {name: float(shares[index]) for name, shares in sure.items()},
            "png": png(evidence.images.images[index]),
        }
        for index in chosen
    ]


def _counterpart(evidence: Evidence) -> str | None:
    """Who is compared with the reference: an int8 student, else the last, on its runtime."""
    if not evidence.answered(evidence.reference):
        return None
    reference = evidence.variants[evidence.reference]
    others = [
        v
        for v in evidence.variants.values()
        if v is not reference and v.runtime == reference.runtime and evidence.answered(v.name)
    ]
    int8 = [v for v in others if v.role == "student_int8"]
    return (int8 or others)[-1].name if others else None


def png(image: NDArray[np.uint8]) -> str:
    """A uint8 image [H, W, C] as base64 of a PNG, shrunk if it is large."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    picture.thumbnail((LARGEST_PIXELS, LARGEST_PIXELS))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def compare_roles(evidence: Evidence, role: str, vs: str) -> dict[str, Any] | None:
    """Accuracy of one role's file minus that of another's, paired on the same images.

    Args:
        evidence: what was measured.
        role: student.
        vs: baseline, for what the teacher brought; student_int8, for what int8 cost.

    Returns:
        The difference with its interval, a fraction; None without images or one of the two.
    """
    by_role: dict[str, str] = {}  # the first of a role: others are the same file elsewhere
    for variant in evidence.variants.values():
        if evidence.answered(variant.name):
            by_role.setdefault(variant.role, variant.name)
    if evidence.images is None or not {role, vs} <= by_role.keys():
        return None
    first, second = by_role[role], by_role[vs]
    found = matched_difference(evidence.right(first), evidence.right(second))
    return found.to_dict() | {
        "metric": "accuracy",
        "variant": first,
        "vs": second,
        "n": len(evidence.images.labels),
    }
