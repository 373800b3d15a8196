"""A view of an image: what teacher and student see of it, a pure function of (seed, view, index).

Image i of view v looks the same whatever the batch, the order or the number of processes, so that
a resumed run, and a teacher that answered long before, see exactly the student's images.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import Split
from compress.settings import Augmenting
from compress.training.augment import augment
from compress.training.draws import Draws
from compress.training.mixing import Mixture, draw_mixture, mix

# Raised with any change to the pixels of views: answers to the older ones are then refused.
_SCHEME = 1


@dataclass(frozen=True, kw_only=True)
class ViewPlan:
    """Which views there are.

    Attributes:
        split: the images.
        source: names the images: a fingerprint of their content and order.
        size: height and width of a view.
        augmenting: what is done to an image.
        seed: of all that is random in it.
    """

    split: Split
    source: str
    size: tuple[int, int]
    augmenting: Augmenting
    seed: int

    def identity(self) -> dict[str, Any]:
        """All that decides the pixels of view v of image i, as JSON: equal means equal views."""
        how = asdict(self.augmenting)
        del how["views"], how["view_size"]  # how often views are reused changes none of them
        return {
            "scheme": _SCHEME,
            "images": self.source,
            "count": len(self.split),
            "size": list(self.size),
            "seed": self.seed,
            **how,
        }


@dataclass(frozen=True, kw_only=True)
class Views:
    """Some images of one view.

    Attributes:
        pixels: uint8 [B, H, W, C], before any network's preprocessing.
        number: of the view.
        indices: int64 [B], positions in the plan's split.
        partners: int64 [B], positions of the images that were mixed in; None without mixing.
        shares: float32 [B], the share of the image itself, 1 where nothing was mixed in; or None.
    """

    pixels: NDArray[np.uint8]
    number: int
    indices: NDArray[np.int64]
    partners: NDArray[np.int64] | None = None
    shares: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.indices)


def read_views(plan: ViewPlan, number: int, indices: NDArray[np.int64]) -> Views:
    """The images `indices` (int64 [B]) as view `number` shows them.

    A partner is mixed in as this view shows it by itself.
    """
    draws = Draws(plan.seed, number, indices)
    pixels = _alone(plan, draws)
    mixed = _mixture(plan, draws)
    if mixed is None:
        return Views(pixels=pixels, number=number, indices=indices)
    return Views(
        pixels=mix(pixels, _alone(plan, replace(draws, indices=mixed.partners)), mixed),
        number=number,
        indices=indices,
        partners=mixed.partners,
        shares=mixed.shares,
    )


def mixture(
    plan: ViewPlan, number: int, indices: NDArray[np.int64]
) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
    """The `shares` and `partners` that `read_views` gives, without reading an image."""
    mixed = _mixture(plan, Draws(plan.seed, number, indices))
    return (None, None) if mixed is None else (mixed.shares, mixed.partners)


def _mixture(plan: ViewPlan, draws: Draws) -> Mixture | None:
    how = plan.augmenting
    if not (how.mixup or how.cutmix):
        return None
    return draw_mixture(draws, len(plan.split), plan.size, how.mixup, how.cutmix)


def _alone(plan: ViewPlan, draws: Draws) -> NDArray[np.uint8]:
    """Views before anything is mixed in: uint8 [B, H, W, C]."""
    return augment(plan.split.images.batch(draws.indices, plan.size), plan.augmenting, draws)
