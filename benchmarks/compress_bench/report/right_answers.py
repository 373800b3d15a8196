"""Which test images a variant has right, as a report keeps them: a bit an image."""

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress_bench.report import facts
from compress_bench.report.facts import Fields, dig


@dataclass(frozen=True)
class Right:
    """One variant's images.

    Attributes:
        images: digest of which images they are.
        bits: whether each one is right, bool [n].
    """

    images: str
    bits: NDArray[np.bool_]


def right_of(fields: Fields) -> Right | None:
    """The images of a variant; None where the report does not keep them or they cannot be read."""
    number, images = facts.number(fields, "answers", "n"), dig(fields, "answers", "images_sha256")
    if not number or not images:
        return None
    try:
        packed = base64.b64decode(str(dig(fields, "answers", "right_base64")), validate=True)
    except binascii.Error:
        return None
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).astype(bool)
    return Right(str(images), bits[: int(number)]) if len(bits) >= number else None


def on_same_images(one: Fields, other: Fields) -> tuple[Right, Right] | None:
    """Both variants' images, if they are the same ones in the same order."""
    first, second = right_of(one), right_of(other)
    if first is None or second is None or first.images != second.images:
        return None
    return first, second
