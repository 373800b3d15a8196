"""Parity: the ONNX file answers as the torch network does."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from compress.errors import ExportError
from compress.models.checkpoint import LoadedModel
from compress_export.session import run_logits

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
    model: LoadedModel, session: ort.InferenceSession, images: NDArray[np.float32], seed: int = 0
) -> Parity:
    """Compare logits on real images and on noise, at several batch sizes.

    Args:
        model: the torch network, on the CPU.
        session: its ONNX file.
        images: preprocessed real images [N, c, h, w]; repeated if N < IMAGES.
        seed: of the noise.

    Raises:
        ExportError: the two differ by more than rounding, or the file cannot run a batch.
    """
    worst: Parity | None = None
    for inputs in _inputs(images, seed):
        found = _compare(model, session, inputs)
        if worst is None or _ratio(found) > _ratio(worst):
            worst = found
    assert worst is not None
    return worst


def _ratio(parity: Parity) -> float:
    return parity.max_abs_difference / parity.tolerance


def _inputs(images: NDArray[np.float32], seed: int) -> Iterator[NDArray[np.float32]]:
    """A batch of real images and one of noise of their spread, for each size."""
    real = np.resize(images, (IMAGES, *images.shape[1:]))
    noise = np.random.default_rng(seed)
    starts = np.cumsum((0, *BATCHES))
    for start, size in zip(starts, BATCHES, strict=False):
        yield real[start : start + size]
        sample = noise.normal(real.mean(), real.std() or 1.0, (size, *real.shape[1:]))
        yield sample.astype(np.float32)


def _compare(
    model: LoadedModel, session: ort.InferenceSession, inputs: NDArray[np.float32]
) -> Parity:
    with torch.no_grad():
        expected = model.module.eval()(torch.from_numpy(inputs)).float().numpy()
    try:
        found = run_logits(session, inputs)
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ExportError(
            f"{model.name}: the ONNX file cannot run a batch of {len(inputs)} "
            f"({str(error).splitlines()[0]}); forward must not fix the number of images"
        ) from error
    if found.shape != expected.shape or not np.isfinite(expected).all():
        raise ExportError(
            f"{model.name}: expected finite logits of one shape from torch and ONNX at batch "
            f"{len(inputs)}, found {expected.shape} and {found.shape}, "
            f"{int(np.isfinite(expected).sum())} of {expected.size} of torch's finite; "
            "look at the network's weights and forward"
        )
    difference = np.abs(found.astype(np.float64) - expected)
    tolerance = _RELATIVE_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    largest = float(difference.max())
    if not largest <= tolerance:  # NaN is a mismatch too
        raise ExportError(
            f"{model.name}: expected the ONNX file's logits within {tolerance:.2g} of torch's, "
            f"found a difference of {largest:.3g} at batch {len(inputs)}; "
            "the exporter changed the network: try another --opset and report it with the network"
        )
    return Parity(largest, tolerance)
