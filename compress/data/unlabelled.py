"""Images without labels, for a student to learn from what its teacher says of them.

A folder with images anywhere below it, or an `.npz` file with one array of them. Folders' names
mean nothing here, so that a folder of classes serves as well as one of camera frames.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import UNLABELLED, ArrayImages, Dataset, Images, Split
from compress.data.facts import one_shape
from compress.data.files import FileImages
from compress.data.fingerprint import Digests, fingerprint, pixel_digests
from compress.data.folder import bad_notes, readable_names, stray_notes
from compress.data.listing import list_images
from compress.data.npz import check_images, read_arrays
from compress.data.reading import Reading
from compress.data.scan import scan_files
from compress.data.wording import counted, some
from compress.errors import DataError
from compress.preprocess import convert_channels
from compress.progress import SILENT, Progress
from compress.settings import Resize

_ARRAYS = ("images", "x_train", "x")
_ALIKE = {"file": "byte for byte", "pixels": "pixel for pixel"}
_AT_ONCE = 256  # images that are converted together: memory does not follow their number


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """A transfer set.

    Attributes:
        name: the reference that the user gave.
        split: N images; every label is UNLABELLED.
        image_size: height and width where all images are alike, else None.
        fingerprint: sha256 over content, order and channels.
        digests: of each image, by which it is known in a dataset.
        converted: the same in the dataset's channels; None where they are its own, or files.
        notes: what was passed over, and what also measures, in sentences.
    """

    name: str
    split: Split
    image_size: tuple[int, int] | None
    fingerprint: str
    digests: Digests
    converted: Digests | None = None
    notes: tuple[str, ...] = ()

    def found_in(self, measuring: Digests) -> NDArray[np.bool_]:
        """Which of these N images are among others, as they are or converted: bool [N]."""
        found = self.digests.found_in(measuring)
        return found if self.converted is None else found | self.converted.found_in(measuring)


class ConvertedImages:
    """Another source's images in grey or in colour; memory holds a batch."""

    def __init__(self, images: Images, channels: int) -> None:
        """Look at `images` with 1 or 3 channels."""
        self.images = images
        self.channels = channels

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """See `Images.batch`."""
        return np.asarray(convert_channels(self.images.batch(indices, size), self.channels))


def open_unlabelled(
    reference: str,
    *,
    channels: int,
    resize: Resize = "crop",
    max_bad: float = 0.01,
    progress: Progress = SILENT,
) -> Unlabelled:
    """Read images without labels.

    Args:
        reference: a folder, or an `.npz` file with the array images, x_train or x.
        channels: 1 or 3, the dataset's, to which every image is brought.
        resize: how images of other shapes meet a size: "crop" (the centre) or "stretch".
        max_bad: share of unreadable images up to which they are passed over; one is in any case,
            unless this is 0.
        progress: where slow reading is shown.

    Raises:
        DataError: no such source, no image in it, or too much of it cannot be read.
        UsageError: a setting out of its range.
    """
    reading = Reading(max_bad=max_bad, resize=resize, progress=progress)
    path = Path(reference).expanduser()
    if reference and path.is_dir():
        return _open_folder(path, reference, channels, reading)
    if path.suffix == ".npz" and path.is_file():
        return _open_npz(path, reference, channels, reading)
    found = "a file of another kind" if path.is_file() else "nothing of that name"
    raise DataError(
        f"{reference or 'unlabelled images'}: expected an image folder or an .npz file, found "
        f"{found}; give the path of one"
    )


def leak_notes(unlabelled: Unlabelled, dataset: Dataset) -> tuple[str, ...]:
    """Say which images of the transfer set also measure: what is learnt by heart flatters."""
    notes = []
    for split, measuring in dataset.digests.items():
        if measuring.of != unlabelled.digests.of:
            return (
                f"{unlabelled.name}: whether its images are also in validation or test of "
                f"{dataset.name} cannot be told: files and arrays are not compared",
            )
        shared = int(unlabelled.found_in(measuring).sum())
        if shared:
            notes.append(
                f"{unlabelled.name}: {counted(shared, 'image')} also in {split} of {dataset.name}, "
                f"{_ALIKE[measuring.of]}; accuracy on them flatters"
            )
    return tuple(notes)


def _open_folder(root: Path, reference: str, channels: int, reading: Reading) -> Unlabelled:
    names, strays = list_images(root)
    scan = scan_files(root, names, reading.progress)
    skipped = bad_notes(reference, names, scan, reading.max_bad)
    if not len(scan.readable):
        raise DataError(f"{reference}: expected readable images, found none; add some")
    images = FileImages(root, readable_names(names, scan), channels, reading.resize)
    return Unlabelled(
        name=reference,
        split=_split(images),
        image_size=one_shape(scan.facts)[1],
        fingerprint=_fingerprint(scan.facts.digests, channels),
        digests=scan.facts.digests,
        notes=(*stray_notes(reference, strays), *skipped),
    )


def _open_npz(path: Path, reference: str, channels: int, reading: Reading) -> Unlabelled:
    arrays = read_arrays(path, reference, only=_ARRAYS)
    if len(arrays) != 1:
        raise DataError(
            f"{reference}: expected one array of images called {', '.join(_ARRAYS[:-1])} or "
            f"{_ARRAYS[-1]}, found {some(sorted(arrays)) or 'none'}; save it under one of the names"
        )
    ((key, array),) = arrays.items()
    pixels = check_images(f"{reference}: {key}", array)
    if not len(pixels):
        raise DataError(f"{reference}: expected images in {key}, found none; fill it")
    images: Images = ArrayImages(pixels, reading.resize)
    digests = pixel_digests(pixels)
    converted: Digests | None = None
    if pixels.shape[3] != channels:
        images = ConvertedImages(images, channels)
        converted = _converted_digests(images, (pixels.shape[1], pixels.shape[2]))
    return Unlabelled(
        name=reference,
        split=_split(images),
        image_size=(pixels.shape[1], pixels.shape[2]),
        fingerprint=_fingerprint(digests, channels),
        digests=digests,
        converted=converted,
    )


def _converted_digests(images: Images, size: tuple[int, int]) -> Digests:
    """Digests of images in the dataset's channels, at the size that they have."""
    blocks = np.array_split(np.arange(len(images)), -(-len(images) // _AT_ONCE))
    rows = [pixel_digests(images.batch(block, size)).rows for block in blocks]
    return Digests("pixels", np.concatenate(rows))


def _split(images: Images) -> Split:
    return Split(images, np.full(len(images), UNLABELLED, dtype=np.int64))


def _fingerprint(digests: Digests, channels: int) -> str:
    """Equal ones hold the same images in the same order, in grey both or in colour."""
    labels = np.full(len(digests), UNLABELLED, dtype=np.int64)
    content = fingerprint((), {"unlabelled": (digests, labels)})
    return hashlib.sha256(f"{content} with {channels} channels".encode()).hexdigest()
