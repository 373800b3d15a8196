"""A teacher from our zoo, torchvision, timm or the user's own file, with weights."""

from dataclasses import replace

import torch

from compress.artifacts import sha256_file
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mapping import find_map, given_labels
from compress.distill.teachers.normalisation import override_normalisation
from compress.distill.teachers.request import Request
from compress.distill.teachers.torch_network import TorchNetwork, weights_sha256
from compress.errors import UsageError
from compress.models.build import ModelSpec, build_model
from compress.models.checkpoint import LoadedModel
from compress.models.head import head_width
from compress.models.reference import absolute_reference, known_reference, source_sha256
from compress.training.trainee import DEFAULT_INPUT, parse_args
from compress_bench.metadata import without_folder

_PUBLISHED = ("torchvision:", "timm:")  # have weights of their own


def claims(reference: str) -> bool:
    """Whatever no other kind claims; a name that is none is refused when it is loaded."""
    del reference
    return True


def load(request: Request) -> LiveTeacher:
    """Build the network, as wide as it is, and match its classes with the data's.

    Raises:
        UsageError: no network of that name, or one without weights.
        ModelError: it cannot be built, or its classes do not match.
    """
    _check_weights(request)
    settings = request.settings
    spec = _spec(request)
    built = build_model(spec)
    request.progress.say_all(built.notes)
    preprocessing = built.preprocessing
    if preprocessing.resize == "crop":
        preprocessing = replace(preprocessing, resize=request.run.resize)
    overridden = override_normalisation(preprocessing, settings)
    sample = torch.zeros(2, preprocessing.channels, *preprocessing.size)
    width = head_width(built.module, sample)
    mapping = find_map(request, given_labels(request, width, built.classes))
    weights = settings.teacher_weights
    model = LoadedModel(
        module=built.module.eval(),
        preprocessing=overridden,
        classes=request.dataset.classes,
        name=request.reference,
        sha256=sha256_file(weights) if weights else "",
        manifest={},
    )
    return LiveTeacher(
        name=request.reference,
        classes=request.dataset.classes,
        network=TorchNetwork(model, request.run.device),
        interpreter=Interpreter(settings.teacher_output, mapping).to(request.run.device),
        source={
            "kind": "network",
            "network": without_folder(request.reference),
            "args": dict(spec.args),
            "sha256": model.sha256,
            "tensors_sha256": weights_sha256(built.module),
            "source_sha256": source_sha256(request.reference),
        },
        found={
            "reference": absolute_reference(request.reference),
            "folder": None,
            "weights": str(weights.resolve()) if weights else None,
            "num_classes": spec.num_classes,
        },
        normalisation_known=spec.pretrained and overridden == preprocessing,
    )


def _check_weights(request: Request) -> None:
    reference = request.reference
    if not known_reference(reference):
        raise UsageError(
            f"--teacher {reference}: expected a checkpoint folder, a zoo name, torchvision:NAME, "
            "timm:NAME, file.py:factory, an .onnx file, a folder of kept logits or an .npz of "
            "logits, found none of them"
        )
    if request.settings.teacher_weights is None and not reference.startswith(_PUBLISHED):
        raise UsageError(
            f"--teacher {reference}: an untrained network teaches nothing; "
            "give --teacher-weights FILE, or a checkpoint folder that compress train wrote"
        )


def _spec(request: Request) -> ModelSpec:
    settings, dataset = request.settings, request.dataset
    side, weights = settings.teacher_size, settings.teacher_weights
    return ModelSpec(
        reference=request.reference,
        num_classes=len(request.names() or dataset.classes),
        own_classes=True,
        channels=dataset.channels,
        input_size=(side, side) if side else dataset.image_size or (DEFAULT_INPUT, DEFAULT_INPUT),
        input_size_given=side is not None,
        args=parse_args(settings.teacher_args, "--teacher-args"),
        weights=weights,
        pretrained=weights is None,
    )
