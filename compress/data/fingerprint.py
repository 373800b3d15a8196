"""Digests: the same images, labels, classes and splits give the same fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 32
_AT_ONCE = 4096  # images whose lines are built together: memory does not follow their number


@dataclass(frozen=True)
class Digests:
    """The sha256 of each of N images, by which the same image is known elsewhere.

    Attributes:
        of: what went into them: the bytes of a file, or shape and pixels. Only like meets like.
        rows: uint8 [N, 32].
    """

    of: Literal["file", "pixels"]
    rows: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, chosen: NDArray[np.int64] | slice) -> "Digests":
        """Those of the images `chosen`: int64 [M], or from one to another."""
        return Digests(self.of, self.rows[chosen])

    def found_in(self, others: "Digests") -> NDArray[np.bool_]:
        """Which of these N images are among the others, bool [N]; both of one kind."""
        if not len(others):
            return np.zeros(len(self), dtype=bool)
        own, theirs = sortable(self.rows), np.sort(sortable(others.rows))
        nearest = np.searchsorted(theirs, own).clip(max=len(theirs) - 1)
        return np.asarray(theirs[nearest] == own)


def sortable(rows: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Digests, uint8 [N, M], as N values that numpy orders as Python orders bytes.

    Of one length, so that the zero bytes which numpy drops at the end of a value tell nothing.
    """
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").reshape(-1)


def pixel_digest(pixels: NDArray[np.uint8]) -> bytes:
    """The sha256 of one image's shape and pixels, uint8 [H, W, C]."""
    digest = hashlib.sha256(b"%dx%dx%d:" % pixels.shape)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def pixel_digests(images: NDArray[np.uint8]) -> Digests:
    """The digests of images in memory, uint8 [N, H, W, C]."""
    rows = np.empty((len(images), DIGEST_BYTES), dtype=np.uint8)
    for row, pixels in zip(rows, images, strict=True):
        row[:] = np.frombuffer(pixel_digest(pixels), dtype=np.uint8)
    return Digests("pixels", rows)


def fingerprint(
    classes: Sequence[str], splits: Mapping[str, tuple[Digests, NDArray[np.int64]]]
) -> str:
    """One sha256 over class names and, per split, the digest and label of each image in order."""
    record: dict[str, Any] = {"classes": list(classes)}
    for split, (digests, labels) in splits.items():
        record[split] = _split_digest(digests, labels)
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _split_digest(digests: Digests, labels: NDArray[np.int64]) -> str:
    """The sha256 of a line an image: its digest in hex and its label."""
    whole = hashlib.sha256()
    for start in range(0, len(labels), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        lines = zip(digests.rows[part], labels[part].tolist(), strict=True)
        text = "\n".join(f"{row.tobytes().hex()} {label}" for row, label in lines)
        whole.update(f"\n{text}".encode() if start else text.encode())
    return whole.hexdigest()
