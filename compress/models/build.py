"""From a reference to a network that fits its data: made, checked by running it, and loaded."""

import importlib
import inspect

import torch
from torch import nn

from compress.errors import ModelError, UsageError
from compress.models.change import change_for_edge
from compress.models.head import Head, find_head, replace_head
from compress.models.reference import (
    FACTORY_ARGUMENTS,
    Reference,
    did_you_mean,
    parse_reference,
)
from compress.models.spec import BuiltModel, Draft, ModelSpec
from compress.models.weights import load_weights
from compress.preprocess import Preprocessing

__all__ = ["BuiltModel", "ModelSpec", "build_model"]


def build_model(spec: ModelSpec) -> BuiltModel:
    """Make a network on the CPU; random weights come from torch's global generator.

    Returns:
        The network, which takes what its preprocessing says and gives [N, num_classes], or
        [N, classes] of its own with `own_classes`.

    Raises:
        ModelError: the network is unknown, cannot be made, does not take the input, has another
            number of classes than the data (unless `replace_head` or `own_classes`), or its
            weights do not fit.
        UsageError: `pretrained` together with `weights`, or of a network that has none.
        MissingExtraError: torchvision or timm is not installed.
    """
    reference = parse_reference(spec.reference)
    _check_start(reference, spec)
    draft = _draft(reference, spec)
    preprocessing = draft.preprocessing
    sample = torch.zeros(2, preprocessing.channels, *preprocessing.size)
    try:
        head, notes = _fit_head(draft.module, spec, sample)
    except ModelError as error:
        raise ModelError(f"network {reference.text}: {error}") from error.__cause__
    if draft.weights:
        notes += load_weights(draft.module, draft.weights, head, replace_head=spec.replace_head)
    classes = draft.classes if spec.own_classes else ()
    changed = change_for_edge(
        draft.module, spec.edge, sample, trained=spec.pretrained or spec.weights is not None
    )
    notes = draft.notes + notes + changed.notes
    return BuiltModel(changed.module, preprocessing, notes, classes, changed.names)


def _check_start(reference: Reference, spec: ModelSpec) -> None:
    if spec.pretrained and spec.weights:
        raise UsageError("--pretrained and --weights: expected one of them, found both")
    if spec.pretrained and reference.kind in ("zoo", "file"):
        raise UsageError(
            f"--pretrained: {reference.text} has no weights of its own; "
            "give a file with --weights, or use torchvision:NAME or timm:NAME"
        )


def _draft(reference: Reference, spec: ModelSpec) -> Draft:
    """Import only what this kind of network needs, and make it."""
    if reference.kind == "torchvision":
        from compress.models.torchvision_network import draft_torchvision_network

        return draft_torchvision_network(reference, spec)
    if reference.kind == "timm":
        from compress.models.timm_network import draft_timm_network

        return draft_timm_network(reference, spec)
    if reference.kind == "file":
        from compress.models.file_network import draft_file_network

        return draft_file_network(reference, spec)
    return _draft_zoo(reference, spec)


def _draft_zoo(reference: Reference, spec: ModelSpec) -> Draft:
    """One of our own networks; its family's file is the only one imported."""
    assert reference.path is not None
    family = importlib.import_module(f"compress.models.{reference.path.stem}")
    factory = getattr(family, reference.name)
    known = [n for n in inspect.signature(factory).parameters if n not in FACTORY_ARGUMENTS]
    for name in spec.args:
        if name not in known:
            raise ModelError(
                f"network {reference.text}: expected arguments among: "
                f"{', '.join(known) or 'none'}; found {name}{did_you_mean(name, known)}"
            )
    module: nn.Module = factory(
        num_classes=spec.num_classes,
        channels=spec.channels,
        input_size=spec.input_size,
        **spec.args,
    )
    return Draft(module, Preprocessing(spec.input_size, spec.channels), spec.weights)


def _fit_head(
    module: nn.Module, spec: ModelSpec, sample: torch.Tensor
) -> tuple[Head, tuple[str, ...]]:
    """Hold the output against the data's classes; a new last layer only where asked for."""
    head = find_head(module, sample)
    if head.width == spec.num_classes or spec.own_classes:
        return head, ()
    if not spec.replace_head:
        raise ModelError(
            f"expected {spec.num_classes} classes, found {head.width}; pass --replace-head to "
            "compress train: the network then learns a new last layer"
        )
    path = replace_head(module, spec.num_classes, sample)
    note = (
        f"{spec.reference}: its last layer ({path}) had {head.width} classes; "
        f"a new one with {spec.num_classes} is to be trained"
    )
    return Head(path, spec.num_classes), (note,)
