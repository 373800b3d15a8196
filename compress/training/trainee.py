"""One network from its name to its checkpoint: build, fit, evaluate, save."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compress.artifacts import MANIFEST, read_json, sha256_file, write_with
from compress.data.dataset import Dataset, Split
from compress.data.open import absolute_data
from compress.errors import UsageError
from compress.intervals import wilson
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.checkpoint import save_checkpoint
from compress.models.head import freeze_first
from compress.models.reference import absolute_reference, source_sha256
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Network, Run, Training
from compress.training.batches import BatchPlan
from compress.training.evaluate import split_logits
from compress.training.loop import Job, Objective, fit
from compress.training.state import drop_state

PREDICTIONS = "predictions.npz"
DEFAULT_INPUT = 32  # pixels, where the images have no one size and the user names none


@dataclass(frozen=True, kw_only=True)
class Trainee:
    """A network to be trained and written to a folder.

    Attributes:
        title: what progress and errors call it.
        reference: which network.
        network: how it starts.
        training: the schedule.
        run: data, threads, device.
        dataset: the images.
        train: the images that teach; `dataset.train`, or a part of it, or with labels hidden.
        epochs: passes over `train`.
        beside: preprocessing of networks that see the same views: the teacher's.
        objective: the loss.
        seed: of weights and order.
        folder: of the checkpoint.
        record: gives further fields of its manifest, once its predictions are written.
    """

    title: str
    reference: str
    network: Network
    training: Training
    run: Run
    dataset: Dataset
    train: Split
    epochs: int
    beside: tuple[Preprocessing, ...] = ()
    objective: Objective
    seed: int
    folder: Path
    record: Callable[[], Mapping[str, Any]]


def parse_args(text: str, flag: str) -> dict[str, Any]:
    """A factory's arguments from JSON.

    Raises:
        UsageError: not a JSON object.
    """
    try:
        args = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{flag}: expected a JSON object such as '{{\"width\": 0.5}}', found {text!r} ({error})"
        ) from error
    if not isinstance(args, dict):
        raise UsageError(f"{flag}: expected a JSON object, found {text!r}")
    return args


def input_digests(reference: str, network: Network) -> dict[str, str]:
    """sha256 of the user's files that a network is made from; empty where there is none.

    Settings of a stage: a file that was edited since makes another run.
    """
    weights = network.weights
    return {
        "source_sha256": source_sha256(reference),
        "weights_sha256": sha256_file(weights) if weights and weights.is_file() else "",
    }


def network_size(network: Network, dataset: Dataset) -> tuple[int, int]:
    """The input's height and width: the user's, the images' own, or DEFAULT_INPUT squared."""
    if network.input_size:
        return network.input_size, network.input_size
    return dataset.image_size or (DEFAULT_INPUT, DEFAULT_INPUT)


def views_size(dataset: Dataset, *networks: Preprocessing) -> tuple[int, int]:
    """Where images are read and augmented: at their own size, or the largest input if smaller.

    Every network resizes from there, so that teacher and student see one view at two sizes. A
    network that looks at the centre only (crop_fraction) needs that much more around it.
    """
    needed = [[round(side / n.crop_fraction) for side in n.size] for n in networks]
    largest = (max(height for height, _ in needed), max(width for _, width in needed))
    own = dataset.image_size
    return own if own and own[0] <= largest[0] and own[1] <= largest[1] else largest


def build_network(
    reference: str, network: Network, dataset: Dataset, run: Run, seed: int
) -> tuple[BuiltModel, dict[str, Any]]:
    """Build a network with seeded weights, and the manifest's record of how.

    Args:
        reference: which network.
        network: how it starts.
        dataset: decides classes, channels and, by default, size.
        run: device and resize rule.
        seed: of the initial weights.

    Returns:
        The network on its device with its preprocessing, and the manifest's "model" field.
    """
    torch.manual_seed(seed)
    spec = ModelSpec(
        reference=reference,
        num_classes=len(dataset.classes),
        channels=dataset.channels,
        input_size=network_size(network, dataset),
        input_size_given=network.input_size is not None,
        args=parse_args(network.model_args, "--model-args"),
        weights=network.weights,
        pretrained=network.pretrained,
        replace_head=network.replace_head,
    )
    built = build_model(spec)
    preprocessing = built.preprocessing
    if preprocessing.resize == "crop":  # a network that was trained on stretched images stays so
        preprocessing = replace(preprocessing, resize=run.resize)
    if network.freeze:
        freeze_first(built.module, network.freeze)
    record = {
        "reference": absolute_reference(reference),
        "args": dict(spec.args),
        "num_classes": spec.num_classes,
        "channels": preprocessing.channels,
        "input_size": list(preprocessing.size),
        "replace_head": network.replace_head,
        "source_sha256": source_sha256(reference),
    }
    module = built.module.to(run.device)
    return BuiltModel(module, preprocessing, built.notes), record


def train_network(trainee: Trainee, progress: Progress) -> dict[str, Any]:
    """Train to the last epoch, evaluate, and write the checkpoint; returns its manifest.

    A checkpoint that is there already is not made again: the stage's recipe vouches that it is
    of the same settings.
    """
    if (trainee.folder / MANIFEST).is_file():
        return read_json(trainee.folder / MANIFEST, kind="checkpoint")
    built, model = build_network(
        trainee.reference, trainee.network, trainee.dataset, trainee.run, trainee.seed
    )
    progress.say_all(built.notes)
    job = _job(trainee, built)
    history = fit(job, progress)
    manifest = {
        "model": model,
        "classes": list(trainee.dataset.classes),
        "preprocessing": built.preprocessing.to_dict(),
        "metrics": _evaluate(trainee, job, progress),
        "history": history,
        "seed": trainee.seed,
        "threads": trainee.run.threads,
        "data": data_record(trainee.dataset, trainee.run),
        "teacher": None,
        "baseline": None,
        **trainee.record(),
    }
    save_checkpoint(trainee.folder, built.module, manifest)
    drop_state(trainee.folder)
    return read_json(trainee.folder / MANIFEST, kind="checkpoint")


def _job(trainee: Trainee, built: BuiltModel) -> Job:
    return Job(
        title=trainee.title,
        module=built.module,
        preprocessing=built.preprocessing,
        plan=plan_batches(trainee, built.preprocessing),
        validation=trainee.dataset.validation,
        objective=trainee.objective,
        settings=trainee.training,
        epochs=trainee.epochs,
        folder=trainee.folder,
    )


def plan_batches(trainee: Trainee, preprocessing: Preprocessing) -> BatchPlan:
    """How the training images become batches of views.

    The views depend on the command's seed, not on the run's: all runs, and the student without a
    teacher, see the same views, so that one pass of the teacher serves them all.
    """
    return BatchPlan(
        split=trainee.train,
        size=views_size(trainee.dataset, preprocessing, *trainee.beside),
        batch_size=trainee.training.batch_size,
        augment=trainee.training.augment,
        views=trainee.training.views,
        order_seed=trainee.seed,
        view_seed=trainee.run.seed,
    )


def data_record(dataset: Dataset, run: Run) -> dict[str, Any]:
    """What a later stage needs to open the same images in the same splits."""
    return {
        "reference": absolute_data(dataset.name),
        "fingerprint": dataset.fingerprint,
        "split_seed": run.split_seed,
        "val_fraction": run.val_fraction,
        "test_fraction": run.test_fraction,
        "max_bad": run.max_bad,
        "resize": run.resize,
    }


def _evaluate(trainee: Trainee, job: Job, progress: Progress) -> dict[str, Any]:
    """Accuracy with its interval on validation and test; predictions kept for paired tests."""
    metrics: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name in ("validation", "test"):
        split = trainee.dataset.split(name)
        logits = split_logits(job.module, job.preprocessing, split, job.plan.size, progress)
        predictions = logits.argmax(axis=1)
        right = int((predictions == split.labels).sum())
        interval = wilson(right, len(split)).to_dict()
        metrics[name] = {"accuracy": right / len(split), "n": len(split), "interval": interval}
        kept |= {f"{name}_predictions": predictions, f"{name}_labels": split.labels}
    write_with(trainee.folder / PREDICTIONS, lambda path: np.savez_compressed(path, **kept))
    return metrics
