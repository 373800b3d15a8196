"""Any classification set of torchvision by its class name: `torchvision:CIFAR10`.

`torchvision:NAME?key=value&key=value` hands further arguments to the class, among them `root`, the
folder that holds the set or will: `torchvision:EMNIST?split=letters&root=/data`. Values are read as
JSON where they can be, else as text.

A set's own splits are kept; what it lacks is cut from its training images.
"""

import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.data.arrays import Labelled, dataset_of_arrays
from compress.data.assemble import Pool, Source, assemble
from compress.data.cache import cache_folder
from compress.data.dataset import Dataset
from compress.data.facts import one_shape
from compress.data.indexed import Collected, IndexedImages, Items, collect
from compress.data.reading import Reading
from compress.data.splits import order_of_indices
from compress.data.wording import counted, reason, some
from compress.errors import DataError, MissingExtraError

_SPLITS = {  # the names that torchvision's sets give their splits; the first that exists counts
    "train": ("train", "trainval", "train-standard"),
    "validation": ("val", "valid"),
    "test": ("test",),
}
_OTHERS = ("DatasetFolder", "ImageFolder", "VisionDataset", "wrap_dataset_for_transforms_v2")


def open_torchvision(reference: str, reading: Reading) -> Dataset:
    """Read `torchvision:NAME[?key=value&...]`, downloading it where it is not in its root.

    Raises:
        DataError: an unknown name, a set that is no classification set, or one that is neither
            there nor can be downloaded.
        MissingExtraError: torchvision is not installed.
    """
    name, arguments = parse(reference)
    try:
        sets = _open_splits(reference, name, arguments)
    except ValueError as error:
        raise DataError(
            f"{reference}: expected values that torchvision.datasets.{name} knows, found another "
            f"({reason(error)}); mend what follows the question mark"
        ) from error
    notes: tuple[str, ...] = ()
    if "test" not in sets and "validation" in sets:  # ImageNet's way: it reports what it calls val
        sets["test"] = sets.pop("validation")
        notes = (f"{reference}: no test split; its validation split became test",)
    found = {s: collect(items, reference, reading.progress) for s, items in sets.items()}
    classes, found, compact_notes = _compact(reference, sets["train"], found)
    notes += compact_notes
    channels, image_size = one_shape(*(part.facts for part in found.values()))
    if image_size and all(len(part.pixels) == len(part.labels) for part in found.values()):
        arrays = {s: Labelled(part.stacked(channels), part.labels) for s, part in found.items()}
        return dataset_of_arrays(reference, classes, arrays, reading, notes)
    pools = {
        split: Pool(
            images=IndexedImages(reference, sets[split], channels, reading.resize),
            labels=part.labels,
            digests=part.facts.digests,
            order=order_of_indices(len(part.labels), reading.seed),
        )
        for split, part in found.items()
    }
    return assemble(
        Source(
            name=reference,
            classes=classes,
            channels=channels,
            image_size=image_size,
            pools=pools,
            notes=notes,
        ),
        reading,
    )


def fetch(name: str, root: Path) -> None:
    """Make sure that the set `name` is in `root`, downloading it if need be."""
    reference = f"torchvision:{name}"
    _make(reference, _class_named(reference, name), {"root": str(root)})


def parse(reference: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of `torchvision:NAME?key=value&key=value`."""
    name, _, query = reference.removeprefix("torchvision:").partition("?")
    arguments = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise DataError(
                f"{reference}: expected torchvision:NAME?key=value&key=value, found {pair}; "
                "write each argument as key=value"
            )
        arguments[key] = _value(value)
    return name, arguments


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _class_named(reference: str, name: str) -> type[Any]:
    try:
        from torchvision import datasets
    except ImportError:
        raise MissingExtraError("torchvision", "train") from None
    known = sorted(set(datasets.__all__) - set(_OTHERS))
    if name in known:
        found: type[Any] = getattr(datasets, name)
        return found
    if name in _OTHERS:
        raise DataError(
            f"{reference}: expected a set with images; give your folder's path as --data"
        )
    folded = {k.lower(): k for k in known}
    near = get_close_matches(name.lower(), list(folded), n=1)
    raise DataError(
        f"{reference}: expected the name of a set in torchvision.datasets, found {name or 'none'}; "
        + (f"did you mean torchvision:{folded[near[0]]}?" if near else "CIFAR10 is one")
    )


def _open_splits(reference: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Items]:
    """The set's own splits, at least train."""
    factory = _class_named(reference, name)
    accepted = _parameters(factory)
    given = dict(arguments)
    if "root" in accepted:
        folder = Path(given.get("root", cache_folder() / "torchvision")).expanduser()
        given["root"] = str(folder)
    make = partial(_make, reference, factory)
    if "train" in accepted and "train" not in given:
        return {"train": make({**given, "train": True}), "test": make({**given, "train": False})}
    if "split" not in accepted or "split" in given:
        return {"train": make(given)}
    sets = {}
    for split, names in _SPLITS.items():
        found = _first_split(make, given, names)
        if found is not None:
            sets[split] = found
    if "train" not in sets:
        raise DataError(
            f"{reference}: expected a split for training, found none; name one with ?split=..."
        )
    return sets


def _first_split(
    make: Callable[[Mapping[str, Any]], Items], given: Mapping[str, Any], names: tuple[str, ...]
) -> Items | None:
    """The first of the splits `names` that the set has; sets refuse others with ValueError."""
    for name in names:
        try:
            return make({**given, "split": name})
        except ValueError:
            continue
    return None


def _parameters(factory: type[Any]) -> set[str]:
    """Arguments of a class, and of those that it hands its own further arguments to."""
    names: set[str] = set()
    for cls in inspect.getmro(factory):
        parameters = inspect.signature(cls).parameters
        names |= set(parameters)
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return names


def _make(reference: str, factory: type[Any], given: Mapping[str, Any]) -> Items:
    """Open one split where it is, else download it.

    Raises:
        ValueError: an argument's value that the set does not know.
        DataError: everything else that keeps it from opening.
    """
    attempts: list[dict[str, Any]] = [{}]
    if "download" in _parameters(factory) and "download" not in given:
        attempts = [{"download": False}, {"download": True}]
    failure = Exception("not tried")
    for more in attempts:
        try:
            with redirect_stdout(sys.stderr):  # some sets print; standard output is for results
                items: Items = factory(**given, **more)
            return items
        except ModuleNotFoundError as error:
            raise DataError(
                f"{reference}: needs the package {error.name}; pip install {error.name}"
            ) from error
        except TypeError as error:
            raise DataError(
                f"{reference}: expected the arguments of torchvision.datasets.{factory.__name__}, "
                f"found others ({reason(error)}); write torchvision:NAME?key=value"
            ) from error
        except ValueError:
            raise
        except Exception as error:  # archives, sockets and disks fail in many ways
            failure = error
    raise DataError(
        f"{reference}: expected the set in {given.get('root', 'its root')}, found none that can be "
        f"opened or downloaded ({reason(failure)}); connect, or name the folder that holds it with "
        "?root=DIR"
    ) from failure


def _compact(
    reference: str, train: Items, found: Mapping[str, Collected]
) -> tuple[tuple[str, ...], dict[str, Collected], tuple[str, ...]]:
    """Number the classes that occur from 0: some sets leave gaps (EMNIST's letters start at 1)."""
    used = np.unique(np.concatenate([part.labels for part in found.values()]))
    names = _class_names(train)
    if len(used) and (used[0] < 0 or used[-1] >= len(names)):
        names = []
    classes = tuple(names[label] if names else str(label) for label in used)
    dense = {
        split: Collected(np.searchsorted(used, part.labels), part.facts, part.pixels)
        for split, part in found.items()
    }
    unused = [name for label, name in enumerate(names) if label not in used]
    notes = (f"{reference}: {counted(len(unused), 'class')} without images ({some(unused)})",)
    return classes, dense, notes if unused else ()


def _class_names(items: Items) -> list[str]:
    """The set's own names; of synonyms the first, with its number where two classes share it."""
    own = getattr(items, "classes", None) or getattr(items, "categories", None) or []
    names = [name if isinstance(name, str) else str(name[0]) for name in own]
    counts = Counter(names)
    return [f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(names)]
