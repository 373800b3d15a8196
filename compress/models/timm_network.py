"""A network of timm, with random weights, the user's, or its own."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from torch import nn

from compress.errors import MissingExtraError, ModelError
from compress.models.reference import Reference, did_you_mean
from compress.models.spec import Draft, ModelSpec
from compress.preprocess import Preprocessing


def draft_timm_network(reference: Reference, spec: ModelSpec) -> Draft:
    """Make the network; timm itself downloads its own weights and fits its head.

    With weights its input has 3 channels, as theirs had, unless the arguments say `in_chans`.

    Raises:
        ModelError: an unknown network, wrong arguments, no weights, or other classes unasked.
        MissingExtraError: timm is not installed.
    """
    config = _published(reference)
    trained = spec.pretrained or spec.weights is not None
    if spec.pretrained:
        _check_classes(reference, config, spec)
    size = _trained_size(config, spec) if trained else spec.input_size
    as_published = spec.pretrained and spec.own_classes
    arguments: dict[str, Any] = {
        "num_classes": config["num_classes"] if as_published else spec.num_classes,
        "in_chans": 3 if trained else spec.channels,
    }
    if config["fixed_input_size"]:
        arguments["img_size"] = size  # the number of position embeddings depends on it
    arguments |= spec.args
    channels = int(arguments["in_chans"])
    module = _make(reference, arguments, pretrained=spec.pretrained)
    if not trained:
        return Draft(module, Preprocessing(size=size, channels=channels))
    preprocessing = _trained_preprocessing(config, size, channels)
    notes = _notes(reference, config, spec, size)
    classes = published_classes(config) if as_published else ()
    return Draft(module, preprocessing, spec.weights, notes, classes)


def _published(reference: Reference) -> Mapping[str, Any]:
    """What timm knows of the network's default weights, without making it."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingExtraError("timm", "timm") from error
    name, _, tag = reference.name.partition(".")
    known, tags = timm.list_models(), timm.list_models(f"{name}.*", pretrained=True)
    if name not in known:
        raise ModelError(
            f"network {reference.text}: expected one of timm's {len(known)} networks, "
            f"found {name}{did_you_mean(name, known)}"
        )
    if tag and reference.name not in tags:
        raise ModelError(
            f"network {reference.text}: expected timm:{name} or one of its trainings "
            f"({', '.join(tags)}), found {reference.name}"
        )
    config: Any = timm.get_pretrained_cfg(reference.name)
    published: dict[str, Any] = config.to_dict()
    return published


def _check_classes(reference: Reference, config: Mapping[str, Any], spec: ModelSpec) -> None:
    """Refuse what timm would mend in silence: a head of another width."""
    if spec.own_classes and config["num_classes"]:
        return
    if config["num_classes"] != spec.num_classes and not spec.replace_head:
        raise ModelError(
            f"network {reference.text}: expected {spec.num_classes} classes, found "
            f"{config['num_classes']} in its own weights; pass --replace-head to compress train: "
            "the network then learns a new last layer"
        )


def _make(reference: Reference, arguments: dict[str, Any], *, pretrained: bool) -> nn.Module:
    import timm

    try:
        with redirect_stdout(sys.stderr):
            module: nn.Module = timm.create_model(
                reference.name, pretrained=pretrained, **arguments
            )
    except Exception as error:  # whatever timm or the Hub's client raises
        way_out = (
            "fetch it once where there is a network (it is kept in the cache of huggingface_hub; "
            "set HF_HOME to move it), or give its file with --weights"
            if pretrained
            else "look at --model-args and --input-size"
        )
        raise ModelError(
            f"network {reference.text}: cannot be made with {arguments}"
            f"{' and its own weights' if pretrained else ''} "
            f"({type(error).__name__}: {error}); {way_out}"
        ) from error
    return module


def published_classes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The first word for each class of the ImageNet that its width tells; empty for other data."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(config)
    if subset is None:
        return ()
    return tuple(text.split(",")[0] for text in ImageNetInfo(subset).label_descriptions())


def _trained_size(config: Mapping[str, Any], spec: ModelSpec) -> tuple[int, int]:
    own = config["input_size"]
    return spec.input_size if spec.input_size_given else (own[1], own[2])


def _trained_preprocessing(
    config: Mapping[str, Any], size: tuple[int, int], channels: int
) -> Preprocessing:
    """What timm's weights were trained with; one grey channel gets the colours' average."""
    own = tuple(config["input_size"][1:]) == size
    mean, std = (tuple(255 * value for value in config[key]) for key in ("mean", "std"))
    if channels != len(mean):
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Preprocessing(
        size=size,
        channels=channels,
        mean=mean,
        scale=std,
        resize="stretch" if config["crop_mode"] == "squash" else "crop",
        # At another size the user's images are not ImageNet's photographs: look at all of them.
        crop_fraction=float(config["crop_pct"]) if own else 1.0,
    )


def _notes(
    reference: Reference, config: Mapping[str, Any], spec: ModelSpec, size: tuple[int, int]
) -> tuple[str, ...]:
    if spec.weights:
        return (
            f"{reference.text}: assumed for {spec.weights.name} are {size[0]} x {size[1]} pixels "
            "and the normalisation of timm's own weights; --input-size, and for a teacher "
            "--teacher-size, --teacher-mean and --teacher-scale, say otherwise",
        )
    if config["num_classes"] != spec.num_classes and not spec.own_classes:
        return (
            f"{reference.text}: its last layer had {config['num_classes']} classes; "
            f"a new one with {spec.num_classes} is to be trained",
        )
    return ()
