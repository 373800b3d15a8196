"""What is known of many images, in arrays: digests, sizes and colour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.fingerprint import Digests


@dataclass(frozen=True)
class Facts:
    """What one look at each of N images found.

    Attributes:
        digests: by which an image is known again.
        sizes: int32 [N, 2], height and width of the upright image in pixels.
        grey: bool [N], whether it shows no colour.
    """

    digests: Digests
    sizes: NDArray[np.int32]
    grey: NDArray[np.bool_]

    def at(self, indices: NDArray[np.int64]) -> "Facts":
        """Those of the images `indices`, int64 [M]."""
        return Facts(self.digests.at(indices), self.sizes[indices], self.grey[indices])


def one_shape(*parts: Facts) -> tuple[int, tuple[int, int] | None]:
    """Channels (1 if all are grey, else 3), and height and width where all images are alike."""
    sizes = {(int(h), int(w)) for part in parts for h, w in np.unique(part.sizes, axis=0)}
    channels = 1 if all(part.grey.all() for part in parts) else 3
    return channels, sizes.pop() if len(sizes) == 1 else None
