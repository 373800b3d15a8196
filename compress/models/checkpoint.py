"""A trained network on disk: `model.safetensors` and the `manifest.json` that rebuilds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from compress.artifacts import (
    MANIFEST,
    header,
    read_json,
    sha256_file,
    verify_sha256,
    write_bytes,
    write_json,
)
from compress.errors import ModelError
from compress.models.build import ModelSpec, build_model
from compress.models.reference import source_sha256
from compress.models.weights import load_exactly
from compress.preprocess import Preprocessing

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to compute.

    Attributes:
        module: in eval mode.
        preprocessing: what its images must go through.
        classes: class names in the order of its outputs; empty where nobody named them.
        name: the reference that built it.
        sha256: of its weights file.
        manifest: the checkpoint's manifest; empty for a foreign network.
    """

    module: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    name: str
    sha256: str
    manifest: Mapping[str, Any]


def save_checkpoint(folder: Path, module: nn.Module, manifest: Mapping[str, Any]) -> None:
    """Write the weights, then the manifest that vouches for them.

    Args:
        folder: the checkpoint.
        module: its state dict is saved as it is.
        manifest: every field but the header, "files" and "parameters".
    """
    tensors = {name: t.detach().contiguous() for name, t in _named_state(module)}
    write_bytes(folder / WEIGHTS, save(tensors))
    content = {
        **header("checkpoint"),
        **manifest,
        "parameters": sum(p.numel() for p in module.parameters()),
        "files": {WEIGHTS: sha256_file(folder / WEIGHTS)},
    }
    write_json(folder / MANIFEST, content)


def _named_state(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """The state dict with tied tensors copied, which safetensors refuses to share."""
    return [(name, tensor.clone()) for name, tensor in module.state_dict().items()]


def load_checkpoint(folder: Path) -> LoadedModel:
    """Rebuild a network from its folder alone.

    Raises:
        ArtifactError: a file is missing, damaged, or of another schema.
        ModelError: the weights do not fit the network that the manifest names.
    """
    manifest = read_json(folder / MANIFEST, kind="checkpoint")
    weights = folder / WEIGHTS
    remedy = "train again with --force or restore the file"
    verify_sha256(weights, manifest["files"][WEIGHTS], record=MANIFEST, remedy=remedy)
    model = manifest["model"]
    _verify_source(folder, model)
    spec = ModelSpec(
        reference=model["reference"],
        num_classes=model["num_classes"],
        channels=model["channels"],
        input_size=(model["input_size"][0], model["input_size"][1]),
        args=model["args"],
        replace_head=model.get("replace_head", False),
        input_size_given=True,
        edge=tuple(model.get("edge", ())),
    )
    module = build_model(spec).module
    try:
        load_exactly(module, load_file(weights))
    except (RuntimeError, ValueError, ModelError, SafetensorError) as error:
        raise ModelError(
            f"{weights}: does not fit {spec.reference} ({str(error).splitlines()[0]}); "
            "use the version of compress that the manifest names"
        ) from error
    return LoadedModel(
        module=module.eval(),
        preprocessing=Preprocessing.from_dict(manifest["preprocessing"]),
        classes=tuple(manifest["classes"]),
        name=model["reference"],
        sha256=manifest["files"][WEIGHTS],
        manifest=manifest,
    )


def verify_checkpoint(folder: Path) -> None:
    """Hold a finished checkpoint's weights against its manifest.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    manifest = read_json(folder / MANIFEST, kind="checkpoint")
    remedy = "give --force to make it again"
    expected = manifest.get("files", {}).get(WEIGHTS, "")
    verify_sha256(folder / WEIGHTS, expected, record=MANIFEST, remedy=remedy)


def _verify_source(folder: Path, model: Mapping[str, Any]) -> None:
    """A network from the user's own file is rebuilt only from the very same file.

    Never from a file inside the checkpoint: a folder that somebody sent must not bring code.
    """
    expected = model.get("source_sha256")
    source = Path(model["reference"].rpartition(":")[0])
    if expected and (not source.is_absolute() or source.is_relative_to(folder.resolve())):
        raise ModelError(
            f"{folder / MANIFEST}: expected a network's file outside this folder by its absolute "
            f"path, found {model['reference']}; code that comes with a checkpoint is not run"
        )
    if expected and source_sha256(model["reference"]) != expected:
        raise ModelError(
            f"{folder / MANIFEST}: {model['reference']} has changed since this checkpoint was "
            "written; restore that file or train again with --force"
        )
