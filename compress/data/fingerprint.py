"""Digests: the same images, labels, classes and splits give the same fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """The sha256 of one image's shape and pixels, uint8 [H, W, C]."""
    digest = hashlib.sha256(b"%dx%dx%d:" % pixels.shape)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def fingerprint(
    classes: Sequence[str], splits: Mapping[str, tuple[Sequence[str], NDArray[np.int64]]]
) -> str:
    """One sha256 over class names and, per split, the digest and label of each image in order."""
    record: dict[str, Any] = {"classes": list(classes)}
    for split, (digests, labels) in splits.items():
        lines = "\n".join(f"{d} {n}" for d, n in zip(digests, labels.tolist(), strict=True))
        record[split] = hashlib.sha256(lines.encode()).hexdigest()
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
