"""A classification network of torchvision, with random weights, the user's, or its own."""

import sys
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import nn

from compress.artifacts import sha256_file
from compress.errors import MissingExtraError, ModelError
from compress.models.reference import Reference, did_you_mean
from compress.models.spec import Draft, ModelSpec
from compress.preprocess import Preprocessing

# These renormalise inside when made with weights="DEFAULT", from ImageNet's to (x - 0.5) / 0.5.
# Here they never do: Preprocessing states the inner normalisation, once and for all.
_INCEPTIONS = ("googlenet", "inception_v3")


def draft_torchvision_network(reference: Reference, spec: ModelSpec) -> Draft:
    """Make the network; weights are a file here, downloaded where `pretrained` asks for it.

    Its input always has 3 channels; grey images are repeated.

    Raises:
        ModelError: an unknown network, wrong arguments, or weights that cannot be downloaded.
        MissingExtraError: torchvision is not installed.
    """
    name = _check_name(reference)
    trained = spec.pretrained or spec.weights is not None
    preprocessing = _trained_preprocessing(name, spec) if trained else _plain(spec)
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    weights = spec.weights
    if weights:
        notes = (
            f"{reference.text}: assumed for {weights.name} are "
            f"{preprocessing.size[0]} x {preprocessing.size[1]} pixels and the normalisation of "
            "torchvision's own weights; --input-size, and for a teacher --teacher-size, "
            "--teacher-mean and --teacher-scale, say otherwise",
        )
    elif spec.pretrained:
        weights, notes = _fetch(reference, name)
        classes = _published_classes(name)
    module = _make(reference, name, spec, preprocessing.size)
    return Draft(module, preprocessing, weights, notes, classes)


def _check_name(reference: Reference) -> str:
    try:
        from torchvision import models
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", "train") from error
    known = models.list_models(module=models)  # classification only
    name = reference.name.lower()
    if name not in known:
        raise ModelError(
            f"network {reference.text}: expected one of torchvision's {len(known)} classification "
            f"networks, found {reference.name}{did_you_mean(name, known)}"
        )
    return name


def _make(reference: Reference, name: str, spec: ModelSpec, size: tuple[int, int]) -> nn.Module:
    """The network with random weights, as wide as the data has classes, or as published."""
    from torchvision import models

    as_published = spec.pretrained and spec.own_classes
    arguments: dict[str, object] = {} if as_published else {"num_classes": spec.num_classes}
    if name in _INCEPTIONS:
        # Auxiliary outputs would make the output a tuple in training.
        arguments |= {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        arguments["image_size"] = size[0]  # the number of position embeddings depends on it
    if name.startswith("maxvit"):
        arguments["input_size"] = size
    try:
        module: nn.Module = models.get_model(name, weights=None, **(arguments | dict(spec.args)))
    except Exception as error:  # whatever the builder raises
        raise ModelError(
            f"network {reference.text}: cannot be made for {size[0]} x {size[1]} pixels and "
            f"{dict(spec.args)} ({type(error).__name__}: {error}); "
            "look at --model-args and --input-size"
        ) from error
    return module


def _published_classes(name: str) -> tuple[str, ...]:
    """What the outputs of torchvision's default weights stand for."""
    from torchvision import models

    return tuple(models.get_model_weights(name).DEFAULT.meta["categories"])


def _plain(spec: ModelSpec) -> Preprocessing:
    return Preprocessing(size=spec.input_size, channels=3)


def _trained_preprocessing(name: str, spec: ModelSpec) -> Preprocessing:
    """What torchvision's default weights of this network were trained with."""
    from torchvision import models

    transforms = models.get_model_weights(name).DEFAULT.transforms()
    side, resized = transforms.crop_size[0], transforms.resize_size[0]
    size = spec.input_size if spec.input_size_given else (side, side)
    mean, std = transforms.mean, transforms.std
    if name in _INCEPTIONS:
        mean = std = (0.5, 0.5, 0.5)
    return Preprocessing(
        size=size,
        channels=3,
        mean=tuple(255 * value for value in mean),
        scale=tuple(255 * value for value in std),
        # At another size the user's images are not ImageNet's photographs: look at all of them.
        crop_fraction=side / resized if size == (side, side) else 1.0,
    )


def _fetch(reference: Reference, name: str) -> tuple[Path, tuple[str, ...]]:
    """The file of torchvision's default weights in torch's cache, downloaded if missing."""
    from torchvision import models

    url = models.get_model_weights(name).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    # torchvision ends the stem with the first digits of the content's sha256.
    digits = path.stem.rpartition("-")[2]
    if path.is_file():
        if sha256_file(path).startswith(digits):
            return path, ()
        return path, (f"{path}: its content is not what torchvision publishes under this name",)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digits, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:  # no network, a full disk, another hash
        raise ModelError(
            f"network {reference.text}: expected its weights in {path}, found none, and {url} "
            f"cannot be downloaded ({error}); put the file there, or give it with --weights"
        ) from error
    return path, ()
