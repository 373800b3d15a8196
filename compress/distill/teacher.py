"""The teacher: frozen, in eval mode, with its own preprocessing, checked before it teaches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compress.artifacts import MANIFEST, sha256_file
from compress.data.dataset import Dataset, Split, select
from compress.data.open import absolute_data
from compress.errors import ModelError, UsageError
from compress.models.build import ModelSpec, build_model
from compress.models.checkpoint import LoadedModel, load_checkpoint
from compress.models.reference import absolute_reference, known_reference, source_sha256
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Run, Teaching
from compress.training.evaluate import accuracy, split_logits, to_input
from compress.training.trainee import DEFAULT_INPUT, parse_args, views_size

# Normalisations in use, as (mean, scale) of 0..255 pixels, to name the right one in an error.
_NORMALISATIONS = {
    "(x - 128) / 64": ((128.0,), (64.0,)),
    "0 to 1": ((0.0,), (255.0,)),
    "-1 to 1": ((127.5,), (127.5,)),
    "0 to 255": ((0.0,), (1.0,)),
    "ImageNet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "CIFAR-10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "MNIST": ((33.32,), (78.57,)),
    "Fashion-MNIST": ((72.94,), (90.02,)),
}
_PROBE_IMAGES = 256
_SUSPICIOUS_GAIN = 0.1  # accuracy that another normalisation must add before we refuse


class Teacher:
    """A network that only answers.

    Attributes:
        model: the network with its preprocessing.
        device: where it computes.
    """

    def __init__(self, model: LoadedModel, device: str) -> None:
        """Freeze `model` and move it to `device`."""
        self.model = model
        self.device = torch.device(device)
        model.module.requires_grad_(requires_grad=False)
        model.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def logits(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """Answer a batch of views.

        Args:
            images: uint8 [B, H, W, C], the very views that the student sees.

        Returns:
            Logits, float32 [B, classes].
        """
        # On every call: whoever holds the module may have switched it to training.
        self.model.module.eval()
        inputs = to_input(images, self.model.preprocessing, self.device)
        logits: torch.Tensor = self.model.module(inputs)
        return logits.float()


def load_teacher(teaching: Teaching, dataset: Dataset, run: Run, progress: Progress) -> LoadedModel:
    """Find the teacher that the settings name, and hold its classes against the data's.

    Raises:
        UsageError: no teacher, or one without weights.
        ModelError: other classes than the data's.
    """
    reference = teaching.teacher
    if not reference:
        raise UsageError("--teacher: expected a checkpoint folder or a network, found nothing")
    if (Path(reference) / MANIFEST).is_file():
        _refuse_flags(teaching)
        model = load_checkpoint(Path(reference))
        _check_images(model, dataset, progress)
    elif Path(reference).is_dir():
        raise ModelError(
            f"--teacher {reference}: expected a checkpoint, found a folder without {MANIFEST}; "
            "its training may not be finished: give that command again"
        )
    else:
        model = _load_foreign(teaching, dataset, run, progress)
    _check_classes(model, dataset)
    return _override_normalisation(model, teaching)


def _refuse_flags(teaching: Teaching) -> None:
    """A checkpoint folder knows its own weights, size and normalisation."""
    for name in ("weights", "size", "mean", "scale"):
        if getattr(teaching, f"teacher_{name}") is not None:
            raise UsageError(
                f"--teacher-{name}: expected a teacher that is no checkpoint folder, found "
                f"{teaching.teacher}, whose manifest says it; leave the flag out"
            )


def _check_images(model: LoadedModel, dataset: Dataset, progress: Progress) -> None:
    """The student's test images must not be among those that taught the teacher."""
    record = model.manifest["data"]
    if record["fingerprint"] == dataset.fingerprint:
        return
    if record["reference"] == absolute_data(dataset.name):
        raise ModelError(
            f"--teacher {model.name}: was trained on {dataset.name} in other splits, or before "
            "its images changed, so that test images may have taught it; give the --split-seed, "
            "--val-fraction and --test-fraction that its manifest names, or train it again"
        )
    progress.say(
        f"teacher {model.name} was trained on {record['reference']}, the student learns on "
        f"{dataset.name}: make sure that the test images did not teach it"
    )


def _load_foreign(
    teaching: Teaching, dataset: Dataset, run: Run, progress: Progress
) -> LoadedModel:
    """A network from a zoo or the user's file, with the user's or the zoo's weights."""
    reference = str(teaching.teacher)
    if not known_reference(reference):
        raise UsageError(
            f"--teacher {reference}: expected a checkpoint folder, a zoo name, torchvision:NAME, "
            "timm:NAME or file.py:factory, found none of them"
        )
    from_zoo = reference.startswith(("torchvision:", "timm:"))
    if teaching.teacher_weights is None and not from_zoo:
        raise UsageError(
            f"--teacher {reference}: an untrained network teaches nothing; "
            "give --teacher-weights FILE, or a checkpoint folder that compress train wrote"
        )
    side = teaching.teacher_size
    size = (side, side) if side else dataset.image_size or (DEFAULT_INPUT, DEFAULT_INPUT)
    spec = ModelSpec(
        reference=reference,
        num_classes=len(dataset.classes),
        channels=dataset.channels,
        input_size=size,
        input_size_given=side is not None,
        args=parse_args(teaching.teacher_args, "--teacher-args"),
        weights=teaching.teacher_weights,
        pretrained=teaching.teacher_weights is None,
    )
    built = build_model(spec)
    progress.say_all(built.notes)
    preprocessing = built.preprocessing
    if preprocessing.resize == "crop":
        preprocessing = replace(preprocessing, resize=run.resize)
    weights = teaching.teacher_weights
    return LoadedModel(
        module=built.module.eval(),
        preprocessing=preprocessing,
        classes=dataset.classes,
        name=reference,
        sha256=sha256_file(weights) if weights else "",
        manifest={},
    )


def _check_classes(model: LoadedModel, dataset: Dataset) -> None:
    """Teacher and data must mean the same by output k."""
    if not model.classes or model.classes == dataset.classes:
        return
    raise ModelError(
        f"--teacher {model.name}: expected the classes of {dataset.name} "
        f"({len(dataset.classes)}: {', '.join(dataset.classes[:5])}, …), found "
        f"{len(model.classes)}: {', '.join(model.classes[:5])}, …; "
        "use a teacher trained on the same classes in the same order"
    )


def _override_normalisation(model: LoadedModel, teaching: Teaching) -> LoadedModel:
    """Let --teacher-mean and --teacher-scale take the place of the assumed normalisation."""
    given = teaching.teacher_mean is not None, teaching.teacher_scale is not None
    if not any(given):
        return model
    if not all(given):
        raise UsageError("--teacher-mean and --teacher-scale: expected both or neither")
    mean, scale = teaching.teacher_mean, teaching.teacher_scale
    assert mean is not None and scale is not None
    return replace(model, preprocessing=replace(model.preprocessing, mean=mean, scale=scale))


def check_teacher(model: LoadedModel, dataset: Dataset, progress: Progress) -> float:
    """Run the teacher over validation before it teaches anything.

    Returns:
        Its accuracy on validation, a fraction.

    Raises:
        ModelError: NaN, probabilities in place of logits, or a normalisation that is not its own.
    """
    view_size = views_size(dataset, model.preprocessing)
    try:
        logits = split_logits(
            model.module, model.preprocessing, dataset.validation, view_size, progress
        )
    except ModelError as error:
        raise ModelError(f"--teacher {model.name}: {error}") from error
    _check_values(model, logits)
    found = accuracy(logits, dataset.validation.labels)
    if not model.manifest:  # our own checkpoints carry the normalisation they were trained with
        _check_normalisation(model, dataset, view_size)
    return found


def _check_values(model: LoadedModel, logits: NDArray[np.float32]) -> None:
    if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        raise ModelError(
            f"--teacher {model.name}: expected logits, found probabilities (rows sum to 1); "
            "remove the softmax at the network's end"
        )


def _check_normalisation(model: LoadedModel, dataset: Dataset, view_size: tuple[int, int]) -> None:
    """Refuse a normalisation when another one in use makes the teacher clearly better."""
    probe = _first_images(dataset.validation, _PROBE_IMAGES)

    def score(spec: Preprocessing) -> float:
        return accuracy(split_logits(model.module, spec, probe, view_size), probe.labels)

    stated = score(model.preprocessing)
    scores = {
        name: score(replace(model.preprocessing, mean=mean, scale=scale))
        for name, (mean, scale) in _NORMALISATIONS.items()
        if len(mean) in (1, model.preprocessing.channels)
    }
    best = max(scores, key=lambda name: scores[name])
    if scores[best] > stated + _SUSPICIOUS_GAIN:
        mean, scale = (_flag_values(values) for values in _NORMALISATIONS[best])
        raise ModelError(
            f"--teacher {model.name}: {100 * stated:.0f} % right with the normalisation given, "
            f"{100 * scores[best]:.0f} % with {best}; "
            f"give --teacher-mean {mean} --teacher-scale {scale}"
        )


def _flag_values(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _first_images(split: Split, count: int) -> Split:
    """A spread of at most `count` images: every k-th, since splits may be sorted by class."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(np.int64))
    return select(split, chosen)


def teacher_record(model: LoadedModel, teaching: Teaching) -> dict[str, object]:
    """The manifest's "teacher" field of a student: enough to find the teacher again."""
    reference = str(teaching.teacher)
    is_folder = (Path(reference) / MANIFEST).is_file()
    return {
        "reference": absolute_reference(model.name),
        "sha256": model.sha256,
        "folder": str(Path(reference).resolve()) if is_folder else None,
        "weights": str(teaching.teacher_weights.resolve()) if teaching.teacher_weights else None,
        "source_sha256": None if is_folder else source_sha256(reference),
        "args": parse_args(teaching.teacher_args, "--teacher-args"),
        "preprocessing": model.preprocessing.to_dict(),
    }
