"""A folder of images becomes a dataset; pixels are decoded when a batch asks for them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.assemble import Pool, Source, assemble, check_classes
from compress.data.dataset import Dataset
from compress.data.facts import one_shape
from compress.data.files import FileImages
from compress.data.listing import Listing, list_folder
from compress.data.names import Names
from compress.data.reading import Reading
from compress.data.scan import Scan, scan_files
from compress.data.splits import order_of_names
from compress.data.wording import counted, some
from compress.errors import DataError


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
    scan = scan_files(root, listing.names, reading.progress)
    skipped = bad_notes(reference, listing.names, scan, reading.max_bad)
    labels = _labels(root, listing, scan)
    channels, image_size = one_shape(scan.facts)
    names = readable_names(listing.names, scan)
    pools = {}
    for split, part in _parts(listing, scan).items():
        own = names.between(part.start, part.stop)
        pools[split] = Pool(
            images=FileImages(root, own, channels, reading.resize),
            labels=labels[part],
            digests=scan.facts.digests.at(part),
            order=order_of_names(own, reading.seed),
        )
    source = Source(
        name=reference,
        classes=listing.classes,
        channels=channels,
        image_size=image_size,
        pools=pools,
        notes=(*stray_notes(reference, listing.strays), *skipped),
    )
    return assemble(source, reading)


def readable_names(names: Names, scan: Scan) -> Names:
    """The names of the files that are images."""
    return names.chosen(scan.readable) if scan.unreadable else names


def _labels(root: Path, listing: Listing, scan: Scan) -> NDArray[np.int64]:
    """The label of each readable image, int64 [M].

    Raises:
        DataError: a class of a split has none.
    """
    start = 0
    for counts in listing.counts.values():
        for name, count in zip(listing.classes, counts.tolist(), strict=True):
            if all(i in scan.unreadable for i in range(start, start + count)):
                first = listing.names[start]
                raise DataError(
                    f"{(root / first).parent}: expected readable images of the class {name}, "
                    f"found {counted(count, 'unreadable file')} "
                    f"({first}: {scan.unreadable[start]}); replace them or remove the class"
                )
            start += count
    labels = np.arange(len(listing.classes))
    return np.concatenate([labels.repeat(c) for c in listing.counts.values()])[scan.readable]


def _parts(listing: Listing, scan: Scan) -> dict[str, slice]:
    """Where the readable images of each split lie among all of them."""
    ends = np.cumsum([counts.sum() for counts in listing.counts.values()])
    bounds = [0, *np.searchsorted(scan.readable, ends).tolist()]
    return {s: slice(bounds[i], bounds[i + 1]) for i, s in enumerate(listing.counts)}


def bad_notes(reference: str, names: Names, scan: Scan, max_bad: float) -> tuple[str, ...]:
    """Refuse too many unreadable images; one is always passed over, unless `max_bad` is 0.

    A share alone would refuse a folder of fifty images for a single broken one.

    Raises:
        DataError: more than the share.
    """
    bad, total = len(scan.unreadable), len(names)
    if not bad:
        return ()
    first = some([f"{names[i]}: {reason}" for i, reason in scan.unreadable.items()])
    found = f"{bad:,} unreadable of {counted(total, 'image')} ({bad / total:.1%}; {first})"
    if bad > (max(1, int(max_bad * total)) if max_bad > 0 else 0):
        raise DataError(
            f"{reference}: expected at most {max_bad:.1%} unreadable images, found {found}; "
            "replace or remove them, or allow more with --max-bad"
        )
    return (f"{reference}: passed over {found}",)


def stray_notes(reference: str, strays: tuple[str, ...]) -> tuple[str, ...]:
    """Say what was passed over by its name."""
    if not strays:
        return ()
    return (f"{reference}: passed over {counted(len(strays), 'stray file')} ({some(strays)})",)
