"""Images with labels, from whatever source, become a checked dataset of three splits."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import SPLITS, Dataset, Images, Split, select
from compress.data.fingerprint import Digests, fingerprint
from compress.data.reading import Reading
from compress.data.splits import Cut, take
from compress.data.wording import counted, some
from compress.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One split as its source gives it, before anything is cut from it.

    Attributes:
        images: N images.
        labels: int64 [N], from 0.
        digests: of each image; of one kind in all pools of a source.
        order: int64 [N], distinct ranks; where a split is cut, the lowest of each class go.
    """

    images: Images
    labels: NDArray[np.int64]
    digests: Digests
    order: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that a source gives.

    Attributes:
        name: the reference that the user gave.
        classes: class names in the order of the labels.
        channels: of every image: 1 or 3.
        image_size: height and width where all are alike, else None.
        pools: train, and validation and test where the source has them.
        notes: what was passed over, in sentences.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int] | None
    pools: Mapping[str, Pool]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """Some of a pool: sorted indices, int64 [M]."""

    pool: Pool
    indices: NDArray[np.int64]

    def labels(self) -> NDArray[np.int64]:
        return self.pool.labels[self.indices]

    def digests(self) -> Digests:
        return self.pool.digests.at(self.indices)

    def split(self) -> Split:
        whole = Split(self.pool.images, self.pool.labels)
        return whole if len(self.indices) == len(whole) else select(whole, self.indices)


def assemble(source: Source, reading: Reading) -> Dataset:
    """Check what the source gives and cut from train what it lacks.

    Raises:
        DataError: fewer than two classes, an empty split, labels beyond the classes, a class that
            train has no image of, or one with too few images to cut from.
    """
    check_classes(source.name, source.classes)
    for split, pool in source.pools.items():
        _check_labels(source, split, pool.labels)
    _check_train(source)
    parts, cut_notes = _cut_missing(source, reading)
    digests = {split: parts[split].digests() for split in SPLITS}
    return Dataset(
        name=source.name,
        classes=source.classes,
        channels=source.channels,
        image_size=source.image_size,
        fingerprint=fingerprint(
            source.classes, {split: (digests[split], parts[split].labels()) for split in SPLITS}
        ),
        digests={split: digests[split] for split in ("validation", "test")},
        notes=(
            *source.notes,
            *cut_notes,
            *_absent_notes(source, parts),
            *_twin_notes(source, digests),
        ),
        **{split: parts[split].split() for split in SPLITS},
    )


def check_classes(name: str, classes: tuple[str, ...]) -> None:
    """Refuse fewer than two classes, and names that occur twice."""
    if len(classes) < 2:
        raise DataError(
            f"{name}: expected at least 2 classes, found {len(classes)} ({some(classes)}); "
            "add images of another class, since a classifier needs something to tell apart"
        )
    twice = sorted(label for label, count in Counter(classes).items() if count > 1)
    if twice:
        raise DataError(
            f"{name}: expected distinct class names, found {some(twice)} more than once; rename one"
        )


def _check_labels(source: Source, split: str, labels: NDArray[np.int64]) -> None:
    if not len(labels):
        way_out = "fill it or leave it out" if split == "validation" else "fill it"
        raise DataError(f"{source.name}: expected images in {split}, found none; {way_out}")
    largest = int(labels.max())
    if largest >= len(source.classes):
        raise DataError(
            f"{source.name}: expected labels of {split} from 0 to {len(source.classes) - 1} "
            f"({counted(len(source.classes), 'class')}), found {largest}; "
            "mend the labels or the class names"
        )


def _check_train(source: Source) -> None:
    """Refuse a class that train has no image of."""
    absent = _absent(source, source.pools["train"].labels)
    if absent:
        raise DataError(
            f"{source.name}: expected training images of each of "
            f"{counted(len(source.classes), 'class')}, found none of {some(absent)}; "
            "add some, or number the classes without gaps from 0"
        )


def _cut_missing(source: Source, reading: Reading) -> tuple[dict[str, _Part], list[str]]:
    """Cut test, then validation, from train, where the source has none."""
    parts = {s: _Part(p, np.arange(len(p.labels))) for s, p in source.pools.items()}
    notes = []
    for split, fraction in (("test", reading.test_fraction), ("validation", reading.val_fraction)):
        if split in parts:
            continue
        train = parts["train"]
        cut = Cut(source.name, split, source.classes)
        stay, go = take(cut, train.labels(), train.pool.order[train.indices], fraction)
        parts["train"] = _Part(train.pool, train.indices[stay])
        parts[split] = _Part(train.pool, train.indices[go])
        notes.append(
            f"{source.name}: no {split} split; {counted(len(go), 'image')} of train became "
            f"{split} (seed {reading.seed})"
        )
    return parts, notes


def _absent(source: Source, labels: NDArray[np.int64]) -> list[str]:
    counts = np.bincount(labels, minlength=len(source.classes))
    return [source.classes[i] for i in np.flatnonzero(counts == 0)]


def _absent_notes(source: Source, parts: Mapping[str, _Part]) -> list[str]:
    """Say which classes validation or test cannot speak about."""
    absent = {split: _absent(source, parts[split].labels()) for split in ("validation", "test")}
    return [
        f"{source.name}: {split} has no image of {some(names)}"
        for split, names in absent.items()
        if names
    ]


def _twin_notes(source: Source, digests: Mapping[str, Digests]) -> list[str]:
    """Say when an image is in two splits: what is measured on it is learnt by heart."""
    notes = []
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        twins = int(digests[second].found_in(digests[first]).sum())
        if twins:
            notes.append(
                f"{source.name}: {counted(twins, 'image')} of {second} also in {first}, "
                "byte for byte; accuracy on them flatters"
            )
    return notes
