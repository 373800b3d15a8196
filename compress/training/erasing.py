"""Random erasing: a rectangle of a view becomes noise."""

import numpy as np
from numpy.typing import NDArray

from compress.training.boxes import BOX_WORDS, BoxRange, draw_boxes
from compress.training.draws import Draws, Purpose, below, uniform

# torchvision's defaults, which are the paper's but for the aspect; there it is height to width.
_RECTANGLES = BoxRange(area=(0.02, 0.33), aspect=(1 / 3.3, 1 / 0.3))
_HAPPENS, _TOP, _LEFT, _BOX = 0, 1, 2, 4  # slots; 3 is free
_BLOCK_BYTES = 16  # of noise in four random words


def erase(images: NDArray[np.uint8], probability: float, draws: Draws) -> NDArray[np.uint8]:
    """Fill a rectangle with uniform noise, in some images.

    Args:
        images: uint8 [B, H, W, C]; not written to.
        probability: that an image has a rectangle, 0 to 1.
        draws: the images' random numbers.

    Returns:
        uint8 [B, H, W, C].

    Source: Zhong et al., "Random erasing data augmentation", arXiv 1708.04896; torchvision's
        RandomErasing. Its noise is Gaussian after normalisation; uniform bytes are as near to
        that as a view can be, which is uint8 for teacher and student.
    """
    height, width = images.shape[1:3]
    words = draws.words(Purpose.ERASING, _BOX + BOX_WORDS)
    boxes = draw_boxes(words[:, _BOX:], (height, width), (height - 1, width - 1), _RECTANGLES)
    chosen = np.flatnonzero((uniform(words[:, _HAPPENS]) < probability) & boxes.found)
    heights, widths = boxes.heights[chosen], boxes.widths[chosen]
    tops = below(words[chosen, _TOP], height - heights + 1)
    lefts = below(words[chosen, _LEFT], width - widths + 1)
    noise = _noise(draws, chosen, heights * widths * images.shape[3])
    out = images.copy()
    edges = np.stack([chosen, tops, tops + heights, lefts, lefts + widths], axis=1).tolist()
    for (position, top, bottom, left, right), values in zip(edges, noise, strict=True):
        hole = out[position, top:bottom, left:right]
        hole[:] = values.reshape(hole.shape)
    return out


def _noise(
    draws: Draws, chosen: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[NDArray[np.uint8]]:
    """Noise for the images at positions `chosen`, `sizes` bytes each; all in one call of Philox."""
    counts = -(-sizes // _BLOCK_BYTES)
    starts = np.cumsum(counts) - counts
    numbers = np.arange(counts.sum()) - np.repeat(starts, counts)
    words = draws.blocks(Purpose.NOISE, np.repeat(draws.indices[chosen], counts), numbers)
    # Little-endian on every machine, so that the bytes are the same ones.
    values = words.astype("<u4").reshape(-1).view(np.uint8)
    spans = zip((starts * _BLOCK_BYTES).tolist(), sizes.tolist(), strict=True)
    return [values[start : start + size] for start, size in spans]
