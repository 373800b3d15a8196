"""`--data REFERENCE` becomes a dataset."""

from difflib import get_close_matches
from pathlib import Path

from compress.data.dataset import Dataset
from compress.data.reading import Reading
from compress.errors import DataError
from compress.progress import SILENT, Progress
from compress.settings import Resize

FORMS = "demo, fashion-mnist, an image folder, an .npz file, or torchvision:NAME"
_NAMES = ("demo", "fashion-mnist")


def open_dataset(  # noqa: PLR0913 - the flags of --data, which every stage hands over as they are
    reference: str,
    *,
    seed: int = 0,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    max_bad: float = 0.01,
    resize: Resize = "crop",
    progress: Progress = SILENT,
) -> Dataset:
    """Read images and labels in three splits.

    Args:
        reference: demo, fashion-mnist, a folder of images, an `.npz` file, or torchvision:NAME;
            a folder that is called like one of the names is given as ./demo.
        seed: seed of the splits that are cut here.
        val_fraction: share of train that becomes validation where the data has none.
        test_fraction: share of unsplit images that becomes test.
        max_bad: share of unreadable images up to which they are skipped; one is skipped in any
            case, unless this is 0.
        resize: how images of other shapes meet a size: "crop" (the centre) or "stretch".
        progress: where slow reading is shown.

    Raises:
        DataError: no such source, or it cannot be used.
        UsageError: a setting out of its range.
        MissingExtraError: torchvision is needed and missing.
    """
    reading = Reading(
        seed=seed,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        max_bad=max_bad,
        resize=resize,
        progress=progress,
    )
    if reference == "demo":
        from compress.data.demo import open_demo

        return open_demo(reading)
    if reference == "fashion-mnist":
        from compress.data.fashion_mnist import open_fashion_mnist

        return open_fashion_mnist(reading)
    if reference.startswith("torchvision:"):
        from compress.data.torchvision_set import open_torchvision

        return open_torchvision(reference, reading)
    return _open_path(reference, reading)


def absolute_data(reference: str) -> str:
    """The same source of images, independent of the working folder: for manifests."""
    if reference in _NAMES or reference.startswith("torchvision:"):
        return reference
    return str(Path(reference).expanduser().resolve())


def _open_path(reference: str, reading: Reading) -> Dataset:
    path = Path(reference).expanduser()
    if reference and path.is_dir():
        from compress.data.folder import open_folder

        return open_folder(path, reference, reading)
    if path.suffix == ".npz" and path.is_file():
        from compress.data.npz import open_npz

        return open_npz(path, reference, reading)
    if path.is_file():
        raise DataError(
            f"{reference}: expected {FORMS}, found a file of another kind; "
            "unpack it into a folder, or save its arrays as .npz"
        )
    raise DataError(
        f"{reference or 'data'}: expected {FORMS}, found nothing of that name; "
        + _suggestion(reference, path)
    )


def _suggestion(reference: str, path: Path) -> str:
    """The nearest name, or nearest neighbour on disk."""
    source, _, name = reference.partition(":")
    if get_close_matches(source, ["torchvision"]):
        return f"did you mean torchvision:{name or 'CIFAR10'}?"
    near = get_close_matches(reference, _NAMES, n=1)
    if not near:
        try:
            beside = [entry.name for entry in path.parent.iterdir()]
        except OSError:
            beside = []
        near = [str(path.parent / n) for n in get_close_matches(path.name, beside, n=1)]
    return f"did you mean {near[0]}?" if near else "check the spelling, or give a full path"
