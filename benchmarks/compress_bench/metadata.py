"""What an ONNX file of ours says about itself, so that the file alone is enough.

export writes it, bench and predict read it through onnxruntime.
"""

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.errors import ArtifactError
from compress.preprocess import Preprocessing

PREPROCESSING = "compress.preprocessing"
CLASSES = "compress.classes"
DATA = "compress.data"
PARAMETERS = "compress.parameters"
NETWORK = "compress.network"
PRECISION = "compress.precision"
VERSION = "compress.version"


@dataclass(frozen=True)
class ModelMetadata:
    """What a file says about its network.

    Attributes:
        preprocessing: what images go through before the input.
        classes: names in the order of the logits.
        parameters: learned values of the network before quantisation.
        network: the reference that built it.
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...]
    parameters: int
    network: str


@dataclass(frozen=True)
class DataOrigin:
    """The images that a file was exported with.

    Attributes:
        reference: as the user gave it.
        fingerprint: of content and splits.
    """

    reference: str
    fingerprint: str


def model_metadata(
    *,
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
    parameters: int,
    network: str,
    data: DataOrigin | None,
) -> dict[str, str]:
    """The entries that go into an ONNX file's metadata_props; no path of this machine."""
    entries = {
        PREPROCESSING: json.dumps(preprocessing.to_dict()),
        CLASSES: json.dumps(list(classes), ensure_ascii=False),
        PARAMETERS: str(parameters),
        NETWORK: without_folder(network),
        PRECISION: "float32",
        VERSION: metadata.version("edge-compress"),
    }
    if data is not None:
        # Of a folder or a file its name: files are handed on.
        said = {"reference": Path(data.reference).name, "fingerprint": data.fingerprint}
        entries[DATA] = json.dumps(said, ensure_ascii=False)
    return entries


def without_folder(reference: str) -> str:
    """A network's reference without the folder of the user's file: `net.py:factory`."""
    return reference.rsplit("/", 1)[-1] if ".py:" in reference else reference


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
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{subject}: its compress.* metadata cannot be read ({error}); "
            "give compress export again with --force"
        ) from error
