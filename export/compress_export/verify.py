"""Parity: the ONNX graph answers as the network that it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.errors import ExportError
from compress_export.session import run_images
from compress_export.sources import Source

# One, two (the batch that the exporter saw) and another: a batch size baked into the graph shows.
BATCHES = (1, 2, 5)
IMAGES = sum(BATCHES)  # real images that `verify` wants

# Of the largest logit; float32 sums in another order differ by less.
_RELATIVE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """The batch on which the two differed most, relative to what is allowed.

    Attributes:
        max_abs_difference: between two logits.
        tolerance: largest difference allowed on that batch.
        batches: batch sizes tried.
    """

    max_abs_difference: float
    tolerance: float
    batches: tuple[int, ...] = BATCHES


def verify(
    source: Source, session: ort.InferenceSession, images: NDArray[np.uint8], seed: int = 0
) -> Parity:
    """Compare logits on real images and on noise, at several batch sizes.

    Args:
        source: the network.
        session: its graph.
        images: real images, uint8 [N, H, W, C]; repeated if N < IMAGES.
        seed: of the noise.

    Raises:
        ExportError: the two differ by more than rounding, or the graph cannot run a batch.
    """
    found = (_compare(source, session, batch) for batch in _batches(images, seed))
    return max(found, key=lambda parity: parity.max_abs_difference / parity.tolerance)


def _batches(images: NDArray[np.uint8], seed: int) -> Iterator[NDArray[np.uint8]]:
    """A batch of real images and one of random pixels, for each size."""
    real = np.resize(images, (IMAGES, *images.shape[1:]))
    noise = np.random.default_rng(seed)
    starts = np.cumsum((0, *BATCHES))
    for start, size in zip(starts, BATCHES, strict=False):
        yield real[start : start + size]
        yield noise.integers(0, 256, (size, *real.shape[1:]), dtype=np.uint8)


def _compare(source: Source, session: ort.InferenceSession, images: NDArray[np.uint8]) -> Parity:
    expected = source.answer(images)
    try:
        found = run_images(session, images, source.preprocessing)
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ExportError(
            f"{source.name}: the ONNX file cannot run a batch of {len(images)} "
            f"({str(error).splitlines()[0]}); forward must not fix the number of images"
        ) from error
    if found.shape != expected.shape or not np.isfinite(expected).all():
        raise ExportError(
            f"{source.name}: expected finite logits of one shape from the network and its ONNX "
            f"file at batch {len(images)}, found {expected.shape} and {found.shape}, "
            f"{int(np.isfinite(expected).sum())} of {expected.size} of the network's finite; "
            "look at the network's weights and forward"
        )
    difference = np.abs(found.astype(np.float64) - expected)
    tolerance = _RELATIVE_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    largest = float(difference.max())
    if not largest <= tolerance:  # NaN is a mismatch too
        raise ExportError(
            f"{source.name}: expected the ONNX file's logits within {tolerance:.2g} of the "
            f"network's, found a difference of {largest:.3g} at batch {len(images)}; "
            "the exporter changed the network: try another --opset and report it with the network"
        )
    return Parity(largest, tolerance)
