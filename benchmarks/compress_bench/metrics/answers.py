"""Which test images a variant has right, so that a later bench can pair its own with them."""

import base64
import hashlib
from typing import Any

import numpy as np

from compress_bench.evidence import Evidence, TestImages

GOAL = None


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`answers`: a bit an image, right or wrong, packed; and which images they were."""
    if evidence.images is None or not evidence.answered(variant):
        return {"answers": None}
    right = np.packbits(evidence.right(variant))
    return {
        "answers": {
            "n": len(evidence.images.labels),
            "right_base64": base64.b64encode(right.tobytes()).decode("ascii"),
            "images_sha256": evidence.images.digest or images_digest(evidence.images),
        }
    }


def images_digest(images: TestImages) -> str:
    """Of pixels, their shape and labels: the same for the same images in the same order."""
    found = hashlib.sha256(str(images.images.shape).encode())
    for array in (images.images, images.labels):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
