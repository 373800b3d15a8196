"""What is to be measured: a bundle folder that export wrote, or ONNX files alone.

Everything is verified before the first measurement.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import BUNDLE, read_json, verify_sha256
from compress.errors import ArtifactError, BenchError, UsageError
from compress.preprocess import Preprocessing, channels_last
from compress.suggest import did_you_mean
from compress_bench.answers import output_kind, why_no_answers
from compress_bench.evidence import TestImages, Variant

REMEDY = "run compress export again with --force"
_EXPORTER = "the machine that exported"
_ISLANDS = "of int8's time"

Described = Mapping[str, Mapping[str, Any]]  # the runner's `model` events by variant


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """What one bench measures.

    Attributes:
        variants: in order.
        reference: name of the one that the others are compared with.
        images: None where no images were given.
        history: training curves for the report.
        repair: how export repaired int8, as bundle.json holds it; None where it did not.
        swept: what a sweep kept in the bundle: its machine, rows, recommended settings.
        notes: sentences for the user.
    """

    variants: tuple[Variant, ...]
    reference: str
    images: TestImages | None
    history: Mapping[str, Any] = field(default_factory=dict)
    repair: Mapping[str, Any] | None = None
    swept: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_files(subjects: Sequence[Path]) -> dict[str, Path]:
    """ONNX files by variant name, from one bundle folder or a list of files.

    Raises:
        UsageError: nothing given, folders and files mixed, or two files of one name.
        ArtifactError: a path is missing or the bundle is not one.
    """
    for path in subjects:
        if not path.exists():
            raise ArtifactError(
                f"{path}: no such file or folder; expected a bundle or an ONNX file"
            )
    if is_bundle(subjects):
        folder = subjects[0]
        return {
            name: _member(folder, _get(entry, "file", folder))
            for name, entry in read_variants(folder).items()
        }
    if not subjects or any(path.is_dir() for path in subjects):
        raise UsageError("compress bench: expected one bundle folder, or one or more ONNX files")
    files: dict[str, Path] = {}
    for path in subjects:
        name = path.stem.replace(".", "_").replace(" ", "_")
        if name in files:
            raise UsageError(f"{path}: {files[name]} is also called {name}; rename one of them")
        files[name] = path
    return files


def is_bundle(subjects: Sequence[Path]) -> bool:
    """Whether a single folder was given."""
    return len(subjects) == 1 and subjects[0].is_dir()


def choose_reference(wanted: str | None, default: str, names: Sequence[str]) -> str:
    """The variant that `--reference` names, else `default`.

    Raises:
        UsageError: there is no such variant.
    """
    reference = wanted or default
    if reference not in names:
        raise UsageError(
            f"--reference {reference}: no such variant; {did_you_mean(reference, names)}"
        )
    return reference


# -------------------------------------------------------------------------------------- bundle


def open_bundle(folder: Path, described: Described, wanted_reference: str | None) -> Subjects:
    """Read bundle.json and hold every file against it.

    Args:
        folder: the bundle.
        described: what onnxruntime says of each file.
        wanted_reference: `--reference`, or None for the bundle's own.

    Raises:
        ArtifactError: a file is missing or differs, a field is missing.
        BenchError: a model does not fit the classes.
    """
    bundle = _read_bundle(folder)
    classes = tuple(_get(bundle, "classes", folder))
    variants = tuple(
        _bundle_variant(folder, name, entry, described[name])
        for name, entry in _variants(bundle, folder).items()
    )
    for variant in variants:
        check_fit(variant, described[variant.name], classes, "bundle.json")
    images = _bundle_images(folder, bundle, classes)
    verify_file(folder, _get(bundle, "golden", folder))
    default = _get(bundle, "reference", folder)
    return Subjects(
        variants=variants,
        reference=choose_reference(wanted_reference, default, [v.name for v in variants]),
        images=images,
        history=bundle.get("history", {}),
        repair=_repair(bundle),
        swept=bundle.get("sweep", {}),
        notes=_advice(bundle),
    )


def _repair(bundle: dict[str, Any]) -> dict[str, Any] | None:
    """The ladder of export, where int8 was quantised with one."""
    found: Any = bundle
    for key in ("checks", "int8", "repair"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _advice(bundle: dict[str, Any]) -> tuple[str, ...]:
    """What export advised, as its words; its times were of then, and maybe of another machine."""
    made = str(bundle.get("created_utc") or "").replace("T", " ")[:16]
    when = f" on {made} UTC" if made else ""
    return tuple(
        f"compress export said{when}: {_without_times(said)}" for said in bundle.get("advice", ())
    )


def _without_times(said: str) -> str:
    """A sentence of export's for a report, where its times could be read as the report's own."""
    said = re.sub(r"on this machine \(.*?\): ", f"on {_EXPORTER}: ", said)
    if _ISLANDS in said:
        said = said.replace(_ISLANDS, f"{_ISLANDS} on {_EXPORTER}")
        said = re.sub(r"\([\d.,]+ \S+, (\d+ %)\)", r"(\1)", said)
    return said


def verify_bundle(folder: Path, remedy: str = REMEDY) -> None:
    """Hold every file of a bundle against its digest, before onnxruntime reads any of them.

    Args:
        folder: the bundle.
        remedy: what the user should do about a damaged one.

    Raises:
        ArtifactError: a file is missing or differs.
    """
    bundle = _read_bundle(folder)
    parts = [_get(bundle, "evaluation", folder), _get(bundle, "golden", folder)]
    for entry in [*_variants(bundle, folder).values(), *parts]:
        verify_file(folder, entry, remedy)


def read_variants(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of bundle.json by variant name, at least one.

    Raises:
        ArtifactError: the folder holds no bundle, or one without variants.
    """
    return _variants(_read_bundle(folder), folder)


def verify_file(folder: Path, entry: Any, remedy: str = REMEDY) -> Path:
    """The file of one entry of bundle.json, held against its digest.

    Raises:
        ArtifactError: a field or the file is missing, or the file differs.
    """
    path = _member(folder, _get(entry, "file", folder))
    verify_sha256(path, _get(entry, "sha256", folder), record=BUNDLE, remedy=remedy)
    return path


def _read_bundle(folder: Path) -> dict[str, Any]:
    return read_json(folder / BUNDLE, kind="bundle")


def _get(content: Any, key: str, folder: Path) -> Any:
    if not isinstance(content, dict) or key not in content:
        raise ArtifactError(f"{folder / BUNDLE}: field {key} is missing; {REMEDY}")
    return content[key]


def _variants(bundle: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    variants = _get(bundle, "variants", folder)
    if not isinstance(variants, dict) or not variants:
        raise ArtifactError(f"{folder / BUNDLE}: expected at least one variant; {REMEDY}")
    return variants


def _member(folder: Path, name: Any) -> Path:
    """A file that lies directly in the bundle; nothing outside of it is ever opened."""
    if not isinstance(name, str) or Path(name).name != name:
        raise ArtifactError(
            f"{folder / BUNDLE}: expected a plain file name, found {name!r}; {REMEDY}"
        )
    return folder / name


def _bundle_variant(
    folder: Path, name: str, entry: dict[str, Any], model: Mapping[str, Any]
) -> Variant:
    path = _member(folder, _get(entry, "file", folder))
    spec = read_preprocessing(_get(entry, "preprocessing", folder), folder / BUNDLE)
    return Variant(
        name=name,
        path=path,
        role=_get(entry, "role", folder),
        network=_get(entry, "network", folder),
        precision=_get(entry, "precision", folder),
        sha256=_get(entry, "sha256", folder),
        size_bytes=path.stat().st_size,
        parameters=_get(entry, "parameters", folder),
        preprocessing=spec,
        channels_last=takes_channels_last(spec, model),
        output=output_kind(model, str(path)),
        session=entry.get("session", {}),
        no_answers=why_no_answers(model, spec),
    )


def read_preprocessing(fields: Any, source: Path) -> Preprocessing:
    """`Preprocessing.to_dict`'s form read back; `source` is named in the error."""
    try:
        return Preprocessing.from_dict(fields)
    except (TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{source}: preprocessing is not in this version's form ({error}); {REMEDY}"
        ) from error


def _bundle_images(folder: Path, bundle: dict[str, Any], classes: tuple[str, ...]) -> TestImages:
    path = verify_file(folder, _get(bundle, "evaluation", folder))
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {REMEDY}") from error
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
        raise ArtifactError(
            f"{path}: expected images uint8 [N, H, W, C] and labels [N], found {images.dtype} "
            f"{list(images.shape)} and {list(labels.shape)}; {REMEDY}"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(classes):
        raise ArtifactError(
            f"{path}: expected labels from 0 to {len(classes) - 1}, found others or none; {REMEDY}"
        )
    reference = str(_get(_get(bundle, "data", folder), "reference", folder))
    return TestImages(reference, path, images, labels.astype(np.int64), classes)


def open_bundle_images(folder: Path) -> TestImages:
    """The test images of a bundle, held against their digest.

    Raises:
        ArtifactError: a field or the file is missing, or it is damaged.
    """
    bundle = _read_bundle(folder)
    return _bundle_images(folder, bundle, tuple(_get(bundle, "classes", folder)))


def takes_channels_last(spec: Preprocessing | None, model: Mapping[str, Any]) -> bool:
    """Whether a model's input is [batch, height, width, c]; `model` is the runner's event."""
    shapes = [value["shape"] for value in model["inputs"]]
    if spec is None or [len(shape) for shape in shapes] != [4]:
        return False
    return channels_last(spec.channels, model["inputs"][0]["type"], shapes[0])


def check_fit(
    variant: Variant, model: Mapping[str, Any], classes: Sequence[str], source: str
) -> None:
    """Hold a model's own input and output against what is said of it.

    Raises:
        BenchError: the number of classes, or the input's shape differs; names both.
    """
    outputs = model["outputs"][0]["shape"]
    if len(outputs) == 2 and isinstance(outputs[1], int) and outputs[1] != len(classes):
        raise BenchError(
            f"{variant.name}: expected {len(classes)} classes as in {source}, found "
            f"{outputs[1]} outputs; bench it with the data that it was trained on"
        )
    spec = variant.preprocessing
    if spec is None or [len(value["shape"]) for value in model["inputs"]] != [4]:
        return
    shape = model["inputs"][0]["shape"]
    wanted = input_shape(spec, last=variant.channels_last)
    if any(isinstance(n, int) and n != w for n, w in zip(shape[1:], wanted, strict=True)):
        raise BenchError(
            f"{variant.name}: expected input {list(wanted)} from its preprocessing, found "
            f"{shape[1:]}; {REMEDY}"
        )


def input_shape(spec: Preprocessing, *, last: bool) -> tuple[int, int, int]:
    """Sizes of an input after the batch: [height, width, c] if `last`, else [c, height, width]."""
    return (*spec.size, spec.channels) if last else (spec.channels, *spec.size)
