"""ONNX files that come alone: what they say of themselves, and images from `--data`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import sha256_file, write_with
from compress.data.dataset import Dataset
from compress.errors import ArtifactError, DataError
from compress.preprocess import UINT8_INPUT, Preprocessing
from compress.progress import Progress
from compress.settings import Run
from compress_bench.answers import output_kind, why_no_answers
from compress_bench.evidence import SplitName, TestImages, Variant
from compress_bench.graph.onnx_wire import external_files
from compress_bench.graph.weights import count_parameters
from compress_bench.metadata import CLASSES, DATA, NETWORK, PARAMETERS, PRECISION, PREPROCESSING
from compress_bench.subjects.bundle import (
    REMEDY,
    Described,
    Subjects,
    choose_reference,
    read_preprocessing,
    takes_channels_last,
)
from compress_bench.subjects.evaluation_set import choose_images, read_pixels, reading_size
from compress_bench.subjects.feeds import Shape, fits


def check_files(files: Iterable[Path]) -> None:
    """Refuse what no runtime can open, before any of them tries.

    Raises:
        ArtifactError: a file is empty, or another one that holds its weights is missing.
    """
    for path in files:
        if path.stat().st_size == 0:
            raise ArtifactError(f"{path}: expected an ONNX file, found an empty one; copy it again")
        missing = [part for part in _named_parts(path) if not part.is_file()]
        if missing:
            raise ArtifactError(
                f"{path}: its weights are in {missing[0].name}, which is not beside it; copy it "
                f"into {missing[0].parent}"
            )


def open_files(
    files: Mapping[str, Path],
    described: Described,
    given: Mapping[str, Shape],
    wanted_reference: str | None,
) -> Subjects:
    """Variants from ONNX files alone.

    Args:
        files: paths by variant name; the first is the reference unless another is wanted.
        described: what onnxruntime says of each file.
        given: shapes of inputs that files leave open, by input name.
        wanted_reference: `--reference`, or None.

    Raises:
        UsageError: the reference is not among the files.
    """
    variants = tuple(_bare_variant(name, files[name], described[name], given) for name in files)
    names = list(files)
    return Subjects(
        variants=variants,
        reference=choose_reference(wanted_reference, names[0], names),
        images=None,
    )


def _bare_variant(
    name: str, path: Path, model: Mapping[str, Any], given: Mapping[str, Shape]
) -> Variant:
    said = model["metadata"]
    spec = _bare_preprocessing(path, model, given)
    return Variant(
        name=name,
        path=path,
        role=name,
        network=said.get(NETWORK, path.name),
        precision=said.get(PRECISION),
        sha256=sha256_file(path),
        size_bytes=sum(part.stat().st_size for part in [path, *data_files(path)]),
        parameters=_parameters(path, said.get(PARAMETERS, "")),
        preprocessing=spec,
        channels_last=takes_channels_last(spec, model),
        output=output_kind(model, str(path)),
        no_answers=why_no_answers(model, spec),
    )


def data_files(path: Path) -> list[Path]:
    """Files beside an ONNX file that hold its weights; torch writes one by default."""
    return [part for part in _named_parts(path) if part.is_file()]


def _named_parts(path: Path) -> list[Path]:
    try:
        return external_files(path)
    except ArtifactError:  # the runtime says what it cannot open, and may know other formats
        return []


def _parameters(path: Path, said: str) -> int | None:
    """As the file says, else counted."""
    if said.isdecimal():
        return int(said)
    try:
        return count_parameters(path)
    except ArtifactError:  # the runtime has opened it: a format of its own
        return None


def _bare_preprocessing(
    path: Path, model: Mapping[str, Any], given: Mapping[str, Shape]
) -> Preprocessing | None:
    """What the file says; else ours at the size of an image-shaped input; else None."""
    if PREPROCESSING in model["metadata"]:
        return read_preprocessing(_read_entry(path, model["metadata"], PREPROCESSING), path)
    if len(model["inputs"]) != 1:
        return None
    (only,) = model["inputs"]
    wanted = given.get(only["name"], ())
    shape = wanted if fits(wanted, only["shape"]) else only["shape"]
    if len(shape) != 4 or not all(isinstance(n, int) for n in shape[1:]):
        return None
    # The usual place of the channels first: networks take [c, h, w], cameras give [h, w, c].
    places = (3, 1) if only["type"] == UINT8_INPUT else (1, 3)
    place = next((place for place in places if shape[place] in (1, 3)), None)
    if place is None:
        return None
    size = shape[1:3] if place == 3 else shape[2:4]
    return Preprocessing(size=(size[0], size[1]), channels=shape[place])


def open_data(run: Run, progress: Progress) -> Dataset:
    """The data set that `--data` names.

    Raises:
        DataError: it cannot be opened.
    """
    from compress.data.open import open_dataset

    return open_dataset(run.data_reference(), **run.splitting(), progress=progress)


def images_from_data(
    run: Run,
    variants: Sequence[Variant],
    described: Described,
    folder: Path,
    progress: Progress,
    split: SplitName = "test",
) -> tuple[TestImages, tuple[str, ...]]:
    """A split of `--data`, class-balanced and capped, as an .npz for the runner.

    Args:
        run: with `data` set.
        variants: at least one that takes images; the largest decides the size of mixed ones.
        described: what onnxruntime says of each file.
        folder: where the .npz goes.
        progress: where decoding is shown.
        split: which.

    Returns:
        The images, and notes on what was left out.

    Raises:
        DataError: the data cannot be opened or has no such images.
    """
    dataset = open_data(run, progress)
    answering = dataset.test if split == "test" else dataset.validation
    if len(answering) == 0:
        raise DataError(f"{run.data}: expected {split} images, found none; give another --data")
    specs = [v.preprocessing for v in variants if v.preprocessing is not None]
    size = reading_size(dataset, specs)
    chosen = choose_images(dataset, answering, size, run.seed)
    images, labels = read_pixels(answering, chosen, size), answering.labels[chosen]
    path = folder / "evaluation.npz"
    write_with(path, lambda temporary: np.savez(temporary, images=images, labels=labels))
    notes = [*dataset.notes, *_assumptions(variants, described, dataset)]
    if len(chosen) < len(answering):
        notes.append(
            f"accuracy is of {len(chosen)} of {len(answering)} {split} images, class-balanced"
        )
    found = TestImages(dataset.name, path, images, labels, dataset.classes, split=split)
    return found, tuple(notes)


def _assumptions(variants: Sequence[Variant], described: Described, dataset: Dataset) -> list[str]:
    """What the files do not say, or say differently from the data, in sentences."""
    notes = []
    for variant in variants:
        said = described[variant.name]["metadata"]
        if PREPROCESSING not in said and variant.preprocessing is not None:
            height, width = variant.preprocessing.size
            frames = described[variant.name]["inputs"][0]["type"] == UINT8_INPUT
            assumed = "the pixels as they are" if frames else "(x - 128) / 64"
            notes.append(
                f"{variant.name}: the file does not say how images become its input; "
                f"{assumed} at {height} x {width} px was assumed"
            )
        if CLASSES in said and _read_entry(variant.path, said, CLASSES) != list(dataset.classes):
            notes.append(
                f"{variant.name}: its classes have other names than the data's; "
                "they were matched by their order"
            )
        if DATA in said:
            notes += _other_images(variant, _read_entry(variant.path, said, DATA), dataset)
    return notes


def _other_images(variant: Variant, named: Any, dataset: Dataset) -> list[str]:
    """A note where --data is not what the file was exported with, image by image."""
    if not isinstance(named, dict) or named.get("fingerprint") == dataset.fingerprint:
        return []
    return [
        f"{variant.name}: the file was exported with {named.get('reference')} "
        f"({str(named.get('fingerprint'))[:12]}…), --data holds other images or splits "
        f"({dataset.fingerprint[:12]}…): make sure that the test images were not among its "
        "training images"
    ]


def _read_entry(path: Path, said: Mapping[str, str], key: str) -> Any:
    """One JSON entry of a file's metadata."""
    try:
        return json.loads(said[key])
    except json.JSONDecodeError as error:
        raise ArtifactError(
            f"{path}: its metadata {key} is not JSON ({error}); {REMEDY}"
        ) from error
