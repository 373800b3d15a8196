"""Images that stay on disk; pixels are decoded when a batch asks for them."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.image import decode, fit
from compress.data.names import Names
from compress.errors import DataError
from compress.settings import Resize


class FileImages:
    """Images that stay on disk; memory holds the batch and a file a thread.

    Attributes:
        root: the folder.
        names: N files in it.
        channels: 1 or 3, for every batch.
        resize: "crop" cuts the centre of the aspect ratio asked for, "stretch" uses all of it.
    """

    def __init__(self, root: Path, names: Names, channels: int, resize: Resize) -> None:
        """Keep the `names`; nothing is opened yet."""
        self.root = root
        self.names = names
        self.channels = channels
        self.resize = resize

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`.

        Raises:
            DataError: a file was readable when the folder was scanned and is not any more.
        """
        out = np.empty((len(indices), *size, self.channels), dtype=np.uint8)
        read = partial(self._pixels, size=size)
        threads = decoding_threads()
        if threads == 1:
            for i, index in enumerate(indices):
                out[i] = read(index)
            return out
        # Threads of its own for each batch: a kept pool would not survive a fork.
        with ThreadPoolExecutor(threads) as pool:
            for i, pixels in enumerate(pool.map(read, indices)):
                out[i] = pixels
        return out

    def path(self, index: int | np.integer) -> Path:
        """Where an image lies."""
        return self.root / self.names[index]

    def _pixels(self, index: int | np.integer, size: tuple[int, int]) -> NDArray[np.uint8]:
        path = self.path(index)
        try:
            image = decode(path).convert("L" if self.channels == 1 else "RGB")
        except ValueError as error:
            raise DataError(
                f"{path}: expected the image that was readable when the folder was scanned, found "
                f"one that is not ({error}); restore it, or give the command again without it"
            ) from error
        return np.asarray(fit(image, size, self.resize)).reshape(*size, self.channels)


def decoding_threads() -> int:
    """As many as the process has cores, at most 4, since each holds a file; 1 in a loader's worker.

    There the processes share the cores.
    """
    if multiprocessing.parent_process() is not None:
        return 1
    return min(4, len(os.sched_getaffinity(0)))
