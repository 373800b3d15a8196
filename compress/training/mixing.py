"""Mixup and cutmix: a view that shows two images, each with its share.

What is mixed, and how much of it, is drawn apart from the pixels, so that the shares of a whole
step are known to a process that reads a part of it. A mixed view is rounded to uint8 like any
other: teacher and student see one and the same image, and so did a teacher that answered long
before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from compress.training.draws import Draws, Purpose, Words, below, uniform

_PARTNER, _PARTNER_LOW, _LAMBDA, _COIN, _ROW, _COLUMN, _SLOTS = range(7)
# Lambda of mixup is a multiple of 1/256: the blend is then exact in uint16, and the share that
# labels get is the very share of the pixels. Half a step changes a pixel by half a grey level.
_STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What is mixed into some images of one view.

    Attributes:
        partners: int64 [B], positions in the split of the images that are mixed in.
        shares: float32 [B], the share of the image itself in the result, 0 to 1.
        pasted: bool [B], where a rectangle of the partner is pasted (cutmix); elsewhere the whole
            of it is blended in (mixup).
        boxes: int64 [B, 4], the rectangle's top, bottom, left and right; ends are left out.
    """

    partners: NDArray[np.int64]
    shares: NDArray[np.float32]
    pasted: NDArray[np.bool_]
    boxes: NDArray[np.int64]


def draw_mixture(
    draws: Draws, count: int, size: tuple[int, int], mixup: float, cutmix: float
) -> Mixture:
    """Choose partners, blends and rectangles.

    Args:
        draws: the images' random numbers.
        count: of images in the split, 1 to 2^32; a partner is any of them, the image itself too.
        size: height and width of the views.
        mixup: alpha of the Beta that lambda comes from; 0 switches it off.
        cutmix: likewise; one of the two is on. With both, a fair coin decides for each image.

    Source: Zhang et al., "mixup", arXiv 1710.09412; Yun et al., "CutMix", arXiv 1905.04899.
    """
    words = draws.words(Purpose.MIXING, _SLOTS)
    pasted = below(words[:, _COIN], 2) == 1 if mixup and cutmix else np.full(len(words), cutmix > 0)
    # Lambda, by the inverse of its distribution function: one number an image, never a second try.
    alphas = np.where(pasted, cutmix, mixup)
    own = np.asarray(betaincinv(alphas, alphas, uniform(words[:, _LAMBDA])), dtype=np.float64)
    boxes = _boxes(words, own, size)
    areas = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    shares = np.where(pasted, 1 - areas / (size[0] * size[1]), np.rint(own * _STEPS) / _STEPS)
    return Mixture(
        partners=_partners(words, count),
        shares=shares.astype(np.float32),
        pasted=pasted,
        boxes=boxes,
    )


def _partners(words: Words, count: int) -> NDArray[np.int64]:
    """The high part of a 64-bit product: millions of images are hit alike, and every one is.

    A float32 could not even name them all.
    """
    images = np.uint64(count)
    carry = (words[:, _PARTNER_LOW] * images) >> np.uint64(32)
    return ((words[:, _PARTNER] * images + carry) >> np.uint64(32)).astype(np.int64)


def _boxes(words: Words, own: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """The paper's box: its centre anywhere, what reaches over an edge cut off."""
    sides = []
    for slot, length in zip((_ROW, _COLUMN), size, strict=True):
        centre = below(words[:, slot], length)
        half = (length * np.sqrt(1 - own)).astype(np.int64) // 2
        sides += [np.maximum(centre - half, 0), np.minimum(centre + half, length)]
    return np.stack(sides, axis=1)


def mix(
    images: NDArray[np.uint8], others: NDArray[np.uint8], mixture: Mixture
) -> NDArray[np.uint8]:
    """Blend two images (mixup), or paste a rectangle of the other one (cutmix).

    Args:
        images: uint8 [B, H, W, C]; not written to.
        others: their partners, of the same shape.
        mixture: what to do with them.

    Returns:
        uint8 [B, H, W, C].
    """
    out = images.copy()
    blended = np.flatnonzero(~mixture.pasted)
    if len(blended):
        out[blended] = _blend(images[blended], others[blended], mixture.shares[blended])
    for position in np.flatnonzero(mixture.pasted).tolist():
        top, bottom, left, right = mixture.boxes[position].tolist()
        out[position, top:bottom, left:right] = others[position, top:bottom, left:right]
    return out


def _blend(
    images: NDArray[np.uint8], others: NDArray[np.uint8], shares: NDArray[np.float32]
) -> NDArray[np.uint8]:
    steps = (shares * _STEPS).astype(np.uint16)[:, None, None, None]  # whole: nothing is cut off
    # At most 255 * 256 + 128: fits. The half rounds to the nearest, halves up.
    total = images * steps
    total += others * (_STEPS - steps)
    total += np.uint16(_STEPS // 2)
    total >>= np.uint16(8)
    return total.astype(np.uint8)
