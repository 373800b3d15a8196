"""A folder of images becomes a dataset; pixels are decoded when a batch asks for them."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.assemble import Pool, Source, assemble, check_classes
from compress.data.dataset import Dataset
from compress.data.image import decode, fit
from compress.data.listing import Listing, list_folder
from compress.data.reading import Reading
from compress.data.scan import Scan, Scanned, scan_files, workers
from compress.data.splits import order_of_names
from compress.data.wording import counted, some
from compress.errors import DataError
from compress.settings import Resize


class FileImages:
    """Images that stay on disk; memory holds the batch and a file a thread.

    Attributes:
        paths: N files.
        channels: 1 or 3, for every batch.
        resize: "crop" cuts the centre of the aspect ratio asked for, "stretch" uses all of it.
    """

    def __init__(self, paths: list[Path], channels: int, resize: Resize) -> None:
        """Keep the `paths`; nothing is opened yet."""
        self.paths = paths
        self.channels = channels
        self.resize = resize

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`.

        Raises:
            DataError: a file was readable when the folder was scanned and is not any more.
        """
        out = np.empty((len(indices), *size, self.channels), dtype=np.uint8)
        # Threads of its own for each batch: a kept pool would not survive a fork.
        with ThreadPoolExecutor(workers()) as pool:
            chosen = [self.paths[i] for i in indices]
            for i, pixels in enumerate(pool.map(partial(self._pixels, size=size), chosen)):
                out[i] = pixels
        return out

    def _pixels(self, path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
        try:
            image = decode(path).convert("L" if self.channels == 1 else "RGB")
        except ValueError as error:
            raise DataError(
                f"{path}: expected the image that was readable when the folder was scanned, found "
                f"one that is not ({error}); restore it, or give the command again without it"
            ) from error
        return np.asarray(fit(image, size, self.resize)).reshape(*size, self.channels)


def open_folder(root: Path, reference: str, reading: Reading) -> Dataset:
    """Read an image folder: `train/ [val/] test/` with a folder a class, or the classes directly.

    Args:
        root: the folder.
        reference: what the user called it.
        reading: fractions, seed, resize rule and the share of unreadable images allowed.

    Raises:
        DataError: the folder is not of that form, or too much of it cannot be read.
    """
    listing = list_folder(root)
    check_classes(reference, listing.classes)
    names = [n for split in listing.files.values() for files in split.values() for n in files]
    scan = scan_files(root, names, reading.progress)
    bad_notes = _bad_notes(reference, scan, reading.max_bad)
    channels, image_size = one_shape(scan.readable.values())

    def pool(split: str) -> Pool:
        """The readable files of one split."""
        readable, labels = _readable(root, listing, scan, split)
        return Pool(
            images=FileImages([root / name for name in readable], channels, reading.resize),
            labels=labels,
            digests=[scan.readable[name].sha256 for name in readable],
            order=order_of_names(readable, reading.seed),
        )

    source = Source(
        name=reference,
        classes=listing.classes,
        channels=channels,
        image_size=image_size,
        pools={split: pool(split) for split in listing.files},
        notes=(*_stray_notes(reference, listing), *bad_notes),
    )
    return assemble(source, reading)


def one_shape(images: Iterable[Scanned]) -> tuple[int, tuple[int, int] | None]:
    """Channels (1 if all are grey, else 3), and height and width where all are alike."""
    shapes = {(image.height, image.width, image.grey) for image in images}
    sizes = {(height, width) for height, width, _ in shapes}
    channels = 1 if all(grey for _, _, grey in shapes) else 3
    return channels, sizes.pop() if len(sizes) == 1 else None


def _readable(
    root: Path, listing: Listing, scan: Scan, split: str
) -> tuple[list[str], NDArray[np.int64]]:
    """The readable files of one split in the order of classes and names, and their labels."""
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(listing.classes):
        claimed = listing.files[split][name]
        files = [file for file in claimed if file in scan.readable]
        if not files:
            reason = f"{claimed[0]}: {scan.unreadable[claimed[0]]}"
            raise DataError(
                f"{(root / claimed[0]).parent}: expected readable images of the class {name}, "
                f"found {counted(len(claimed), 'unreadable file')} ({reason}); "
                "replace them or remove the class"
            )
        names += files
        labels += [label] * len(files)
    return names, np.array(labels, dtype=np.int64)


def _bad_notes(reference: str, scan: Scan, max_bad: float) -> tuple[str, ...]:
    """Refuse too many unreadable images; one is always passed over, unless `max_bad` is 0.

    A share alone would refuse a folder of fifty images for a single broken one.
    """
    bad, total = len(scan.unreadable), len(scan.readable) + len(scan.unreadable)
    if not bad:
        return ()
    first = some([f"{name}: {reason}" for name, reason in scan.unreadable.items()])
    found = f"{bad:,} unreadable of {counted(total, 'image')} ({bad / total:.1%}; {first})"
    if bad > (max(1, int(max_bad * total)) if max_bad > 0 else 0):
        raise DataError(
            f"{reference}: expected at most {max_bad:.1%} unreadable images, found {found}; "
            "replace or remove them, or allow more with --max-bad"
        )
    return (f"{reference}: passed over {found}",)


def _stray_notes(reference: str, listing: Listing) -> tuple[str, ...]:
    if not listing.strays:
        return ()
    count = counted(len(listing.strays), "stray file")
    return (f"{reference}: passed over {count} ({some(listing.strays)})",)
