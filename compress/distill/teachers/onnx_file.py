"""A teacher that is an ONNX file: TensorFlow's and Keras's come this way."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifacts import sha256_file
from compress.data.dataset import Dataset
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mapping import find_map, given_labels
from compress.distill.teachers.normalisation import flags, is_given, override_normalisation
from compress.distill.teachers.onnx_network import (
    OnnxNetwork,
    Signature,
    choose_output,
    choose_size,
    open_session,
    read_signature,
)
from compress.distill.teachers.request import Request
from compress.errors import UsageError
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress_bench.metadata import DATA, PREPROCESSING, ModelMetadata, read_metadata
from compress_bench.subjects.bare_files import data_files

_FLAGS = (
    "teacher_size",
    "teacher_mean",
    "teacher_scale",
    "teacher_output",
    "teacher_classes",
    "class_map",
)


def claims(reference: str) -> bool:
    """A name that ends in .onnx, whether the file is there or not."""
    return Path(reference).suffix == ".onnx"


def load(request: Request) -> LiveTeacher:
    """Open the file, recognise its input, and match its classes with the data's.

    Raises:
        UsageError: a flag that no ONNX file takes, or a size that has to be given.
        ModelError: the file cannot be run, or its classes do not match.
        ArtifactError: a file of ours whose metadata are damaged.
    """
    settings, path = request.settings, Path(request.reference)
    request.refuse_flags(_FLAGS, "a teacher that torch builds", "an ONNX file")
    subject = f"--teacher {request.reference}"
    session = open_session(path, request.run.threads, subject)
    signature = read_signature(session, subject)
    size = choose_size(signature, settings.teacher_size, subject)
    said = session.get_modelmeta().custom_metadata_map
    ours = read_metadata(session, subject=subject) if PREPROCESSING in said else None
    preprocessing = _preprocessing(request, signature, size, ours)
    own = ours.classes if ours else ()
    signature = choose_output(session, signature, size, _wanted(request, own), subject)
    mapping = find_map(request, given_labels(request, signature.width, own))
    _check_images(request.reference, said, request.dataset, request.progress)
    return LiveTeacher(
        name=request.reference,
        classes=request.dataset.classes,
        network=OnnxNetwork(session, signature, preprocessing, request.run.device),
        interpreter=Interpreter(settings.teacher_output, mapping).to(request.run.device),
        source={
            "kind": "onnx",
            "sha256": weights_digest(path),
            "read": signature.output,
        },
        found={"reference": str(path.resolve()), "folder": None, "weights": None},
        normalisation_known=signature.takes_pixels()
        or (ours is not None and not is_given(settings)),
    )


def _preprocessing(
    request: Request, signature: Signature, size: tuple[int, int], ours: ModelMetadata | None
) -> Preprocessing:
    """The user's word goes first, then the file's; else ours is assumed, and that is said."""
    if signature.takes_pixels():
        if is_given(request.settings):
            raise UsageError(
                f"--teacher-mean: expected a teacher with a float input, found "
                f"{request.reference}, which takes pixels as they are; leave the flag out"
            )
        raw = Preprocessing(size, signature.channels, mean=(0.0,), scale=(1.0,))
        return Preprocessing.from_dict({**raw.to_dict(), "resize": request.run.resize})
    if ours is not None:
        return override_normalisation(ours.preprocessing, request.settings)
    assumed = Preprocessing(size, signature.channels, resize=request.run.resize)
    if not is_given(request.settings):
        request.progress.say(
            f"teacher {request.reference}: the file does not say how pixels become its input; "
            f"{flags(assumed)} was assumed"
        )
    return override_normalisation(assumed, request.settings)


def _wanted(request: Request, own: tuple[str, ...]) -> int | None:
    """How many classes the right one of several outputs has; None where only the user knows."""
    names = request.names() or own
    if names:
        return len(names)
    return None if request.settings.class_map else len(request.dataset.classes)


def _check_images(name: str, said: Mapping[str, str], dataset: Dataset, progress: Progress) -> None:
    """Say where the file was exported with other images: they may have taught it."""
    named: Any = json.loads(said[DATA]) if DATA in said else None
    if isinstance(named, dict) and named.get("fingerprint") != dataset.fingerprint:
        progress.say(
            f"teacher {name} was exported with {named.get('reference')}, the student learns on "
            f"{dataset.name}, other images or splits: make sure that the test images did not "
            "teach it"
        )


def weights_digest(path: Path) -> str:
    """Of the file; where its weights lie beside it, of the digests of all."""
    parts = [sha256_file(part) for part in (path, *data_files(path))]
    return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()
