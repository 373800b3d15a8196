"""A network that came as an ONNX file: read, tidied, and kept to what the file says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.data.dataset import Dataset
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.onnx_file import weights_digest
from compress.distill.teachers.onnx_network import (
    OnnxNetwork,
    Signature,
    choose_output,
    open_session,
    read_signature,
)
from compress.distill.teachers.protocol import Teacher
from compress.errors import ModelError, UsageError
from compress.preprocess import Preprocessing
from compress_bench.metadata import PARAMETERS, PREPROCESSING, ModelMetadata, read_metadata
from compress_export.onnx_graph import count_weights, load_float32, tidy
from compress_export.rewrites import apply_rewrites
from compress_export.sources import Source


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user says of a file that does not say it itself.

    Attributes:
        size: height and width of its input; None where the file fixes them.
        mean: per channel, in units of uint8; None where the file says it, or ours is meant.
        scale: per channel divisor.
        resize: how other images meet its input.
        threads: onnxruntime's.
    """

    size: int | None
    mean: tuple[float, ...] | None
    scale: tuple[float, ...] | None
    resize: str
    threads: int | None


def read_onnx(path: Path, dataset: Dataset, reading: Reading) -> tuple[Source, tuple[str, ...]]:
    """Take a file as a network to be exported.

    Args:
        path: the file; weights that lie beside it are read too.
        dataset: whose classes its outputs are, in their order or by the names in its metadata.
        reading: what the user says of it.

    Returns:
        The network, and what was assumed.

    Raises:
        ModelError: it cannot be run, or has no single image input or class output.
        ExportError: it is quantised already, or is not in float32.
        UsageError: a size or a normalisation that it cannot take.
    """
    session = open_session(path, reading.threads, str(path))
    signature = read_signature(session, str(path))
    graph = load_float32(path)
    size = _size(path, signature, reading)
    said = session.get_modelmeta().custom_metadata_map
    ours = read_metadata(session, subject=str(path)) if PREPROCESSING in said else None
    preprocessing, notes = _preprocessing(path, signature, size, ours, reading)
    wanted = len(dataset.classes)
    signature = choose_output(session, signature, size, wanted, str(path))
    _check_classes(path, signature.width, ours, dataset)
    network = OnnxNetwork(session, signature, preprocessing, "cpu")
    own = said.get(PARAMETERS, "")
    source = _source(path, graph, network, dataset.classes)
    return replace(source, parameters=int(own) if own.isdecimal() else source.parameters), notes


def teacher_source(path: Path, teacher: Teacher) -> tuple[Source, tuple[str, ...]]:
    """The file of an ONNX teacher that was held against the data, and what was assumed of it.

    Raises:
        ModelError: it knows the classes in another order, or gives probabilities.
    """
    assert isinstance(teacher, LiveTeacher)
    assert isinstance(teacher.network, OnnxNetwork)
    if not teacher.interpreter.changes_nothing():
        raise ModelError(
            f"--teacher {teacher.name}: expected logits of the data's classes in their order, "
            "found outputs that are mapped on them; give --teacher none to leave it out"
        )
    source = _source(path, load_float32(path), teacher.network, teacher.classes)
    if teacher.normalisation_known:
        return source, ()
    note = (
        f"teacher {path.name}: the file does not say how pixels become its input; (x - 128) / 64 "
        "was assumed: its accuracy tells whether that is so"
    )
    return source, (note,)


def is_plain(record: Mapping[str, Any]) -> bool:
    """Whether a manifest's ONNX teacher gives logits of the data's classes in their order."""
    return record.get("output", "logits") == "logits" and record.get("class_map") is None


def recorded_source(record: Mapping[str, Any], dataset: Dataset, threads: int | None) -> Source:
    """The ONNX teacher of a manifest's "teacher" field, one that `is_plain`.

    Raises:
        ModelError: onnxruntime cannot run it.
    """
    path = Path(record["reference"])
    session = open_session(path, threads, f"teacher {path}")
    preprocessing = Preprocessing.from_dict(record["preprocessing"])
    signature = read_signature(session, str(path))
    signature = choose_output(
        session, signature, preprocessing.size, int(record["width"]), str(path)
    )
    network = OnnxNetwork(session, signature, preprocessing, "cpu")
    return _source(path, load_float32(path), network, dataset.classes)


def _source(
    path: Path, graph: onnx.ModelProto, network: OnnxNetwork, classes: tuple[str, ...]
) -> Source:
    def build(opset: int) -> tuple[onnx.ModelProto, dict[str, int]]:
        tidied = tidy(path, graph, network.signature.output, opset)
        return tidied, apply_rewrites(tidied)

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(network.outputs(images).numpy(), dtype=np.float32)

    return Source(
        name=path.name,
        preprocessing=network.preprocessing,
        classes=classes,
        sha256=weights_digest(path),
        parameters=count_weights(graph),
        graph=build,
        answer=answer,
    )


def _size(path: Path, signature: Signature, reading: Reading) -> tuple[int, int]:
    """The input's height and width: the file's, or --input-size where it leaves them open."""
    asked = reading.size
    if signature.size is None:
        if asked is None:
            raise UsageError(
                f"{path}: it takes images of any size; give --input-size, the height and width "
                "that it was trained with"
            )
        return asked, asked
    if asked and signature.size != (asked, asked):
        height, width = signature.size
        raise UsageError(
            f"--input-size: expected {height} x {width} pixels, which {path} fixes, found {asked}; "
            "leave the flag out"
        )
    return signature.size


def _preprocessing(
    path: Path,
    signature: Signature,
    size: tuple[int, int],
    ours: ModelMetadata | None,
    reading: Reading,
) -> tuple[Preprocessing, tuple[str, ...]]:
    """The user's word goes first, then the file's; else ours is assumed, and that is said."""
    given = reading.mean is not None, reading.scale is not None
    if any(given) and not all(given):
        raise UsageError("--mean and --scale: expected both or neither")
    if signature.takes_pixels():
        if any(given):
            raise UsageError(
                f"--mean: expected a network with a float input, found {path}, which takes pixels "
                "as they are; leave the flag out"
            )
        if ours is not None:  # how its frames are cut; the arithmetic is inside
            return replace(ours.preprocessing, mean=(0.0,), scale=(1.0,)), ()
        return _pixels(signature, size, reading), ()
    if reading.mean is not None and reading.scale is not None:
        for flag, values in (("mean", reading.mean), ("scale", reading.scale)):
            if len(values) not in (1, signature.channels):
                raise UsageError(
                    f"--{flag}: expected one number for the one channel of {path}, found "
                    f"{len(values)}"
                )
        base = ours.preprocessing if ours else _pixels(signature, size, reading)
        return replace(base, mean=reading.mean, scale=reading.scale), ()
    if ours is not None:
        return ours.preprocessing, ()
    assumed = Preprocessing(size, signature.channels, resize=reading.resize)
    note = (
        f"{path.name}: the file does not say how pixels become its input; --mean 128 --scale 64 "
        "was assumed: give its own if its accuracy is not what you know"
    )
    return assumed, (note,)


def _pixels(signature: Signature, size: tuple[int, int], reading: Reading) -> Preprocessing:
    return Preprocessing(size, signature.channels, mean=(0.0,), scale=(1.0,), resize=reading.resize)


def _check_classes(path: Path, width: int, ours: ModelMetadata | None, dataset: Dataset) -> None:
    named = ours.classes if ours else ()
    if width != len(dataset.classes) or (named and named != dataset.classes):
        found = ", ".join(named[:5]) or "without names"
        raise ModelError(
            f"{path}: expected the classes of {dataset.name} ({len(dataset.classes)}: "
            f"{', '.join(dataset.classes[:5])}, …), found {width}: {found}; "
            "give the images it was trained on with --data"
        )
