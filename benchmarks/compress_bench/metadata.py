"""What an ONNX file of ours says about itself, so that the file alone is enough.

export writes it, bench and predict read it through onnxruntime.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.artifacts import installed_versions
from compress.errors import ArtifactError
from compress.preprocess import Preprocessing

PREPROCESSING = "compress.preprocessing"
CLASSES = "compress.classes"
DATA = "compress.data"
PARAMETERS = "compress.parameters"
NETWORK = "compress.network"
PRECISION = "compress.precision"
VERSION = "compress.version"
INPUT = "compress.input"
OUTPUT = "compress.output"
METRICS = "compress.metrics"
VERSIONS = "compress.versions"
WEIGHTS_SHA256 = "compress.weights_sha256"
MIN_RUNTIME = "compress.min_runtime"


@dataclass(frozen=True)
class ModelMetadata:
    """What a file says about its network.

    Attributes:
        preprocessing: what images go through before the input.
        classes: names in the order of the logits.
        parameters: learned values of the network before quantisation.
        network: the reference that built it.
        input: float (normalised by whoever calls it) or uint8 (frames).
        output: logits, scores, or label with its score.
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...]
    parameters: int
    network: str
    input: str = "float"
    output: str = "logits"


@dataclass(frozen=True)
class DataOrigin:
    """The images that a file was exported with.

    Attributes:
        reference: as the user gave it.
        fingerprint: of content and splits.
    """

    reference: str
    fingerprint: str


def model_metadata(  # noqa: PLR0913 - an entry each
    *,
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
    parameters: int,
    network: str,
    data: DataOrigin | None,
    input: str = "float",  # noqa: A002 - the flag's name
    output: str = "logits",
    metrics: Mapping[str, Any] | None = None,
    weights_sha256: str | None = None,
    min_runtime: str | None = None,
) -> dict[str, str]:
    """The entries that go into an ONNX file's metadata_props; no path of this machine.

    Args:
        preprocessing: see `ModelMetadata`, as for the next three.
        classes: their names.
        parameters: their number.
        network: how it was named; the folder of a file is left out.
        data: the images, or None without.
        input: what the file takes: float or uint8.
        output: what it gives: logits, scores or label.
        metrics: what was measured, for JSON.
        weights_sha256: of the weights that it was made from.
        min_runtime: the oldest onnxruntime that reads it.
    """
    entries = {
        PREPROCESSING: json.dumps(preprocessing.to_dict()),
        CLASSES: json.dumps(list(classes), ensure_ascii=False),
        PARAMETERS: str(parameters),
        NETWORK: without_folder(network),
        PRECISION: "float32",
        INPUT: input,
        OUTPUT: output,
        VERSION: metadata.version("edge-compress"),
        VERSIONS: json.dumps(installed_versions()),
    }
    if data is not None:
        # Of a folder or a file its name: files are handed on.
        said = {"reference": without_folder(data.reference), "fingerprint": data.fingerprint}
        entries[DATA] = json.dumps(said, ensure_ascii=False)
    if metrics is not None:
        entries[METRICS] = json.dumps(dict(metrics), allow_nan=False)
    known = {WEIGHTS_SHA256: weights_sha256, MIN_RUNTIME: min_runtime}
    return entries | {key: value for key, value in known.items() if value is not None}


def without_folder(reference: str) -> str:
    """What a network, a file or a folder is called, without where it lies on this machine."""
    lies_here = Path(reference).is_absolute() or Path(reference).exists()
    return reference.rsplit("/", 1)[-1] if lies_here or ".py:" in reference else reference


def read_metadata(session: Any, *, subject: str) -> ModelMetadata:
    """Read the entries back from an onnxruntime session.

    Args:
        session: an `onnxruntime.InferenceSession`.
        subject: how an error names the file.

    Raises:
        ArtifactError: the file was not written by compress export, or its entries are damaged.
    """
    found = session.get_modelmeta().custom_metadata_map
    if PREPROCESSING not in found:
        raise ArtifactError(
            f"{subject}: expected {PREPROCESSING} in its metadata, found none; "
            "use a file that compress export wrote"
        )
    try:
        return ModelMetadata(
            preprocessing=Preprocessing.from_dict(json.loads(found[PREPROCESSING])),
            classes=tuple(json.loads(found[CLASSES])),
            parameters=int(found[PARAMETERS]),
            network=found[NETWORK],
            # Files of before these two could be chosen say neither.
            input=found.get(INPUT, "float"),
            output=found.get(OUTPUT, "logits"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{subject}: its compress.* metadata cannot be read ({error}); "
            "give compress export again with --force"
        ) from error
