"""One network from its name to its checkpoint: build, fit, evaluate, save."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from compress.artifacts import MANIFEST, sha256_file
from compress.data.dataset import Dataset, Split
from compress.errors import UsageError
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.checkpoint import save_checkpoint
from compress.models.head import freeze_first
from compress.models.reference import absolute_reference, source_sha256
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Augmenting, Network, Run, Training
from compress.training.batches import BatchPlan
from compress.training.job import Job, Objective
from compress.training.loop import fit
from compress.training.outcome import data_record, evaluate, write_predictions
from compress.training.processes import ALONE, Processes
from compress.training.pupil import Pupil
from compress.training.state import drop_state
from compress.training.views import ViewPlan

_CONNECTORS = 3  # stream of a seed, beside those of order, views and dropout
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
        views: the images that teach, as views: of `dataset.train`, a part of it, or others.
        evaluation_size: height and width at which images are read to be evaluated.
        objective: the loss.
        seed: of weights and order.
        folder: of the checkpoint.
        record: gives further fields of its manifest, once its predictions are written.
        processes: who trains it together; the first one writes.
        extend: makes the pupil that is trained from the network, once it is built; see `Job.pupil`.
        keep: given the folder, writes what is kept of the pupil beside the checkpoint.
    """

    title: str
    reference: str
    network: Network
    training: Training
    run: Run
    dataset: Dataset
    views: ViewPlan
    evaluation_size: tuple[int, int]
    objective: Objective
    seed: int
    folder: Path
    record: Callable[[], Mapping[str, Any]]
    processes: Processes = ALONE
    extend: Callable[[nn.Module], Pupil] | None = None
    keep: Callable[[Path, Pupil], None] | None = None


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


def input_of(reference: str, network: Network, dataset: Dataset, run: Run) -> Preprocessing:
    """What a network looks at, known once it is built: a fault in it shows before any work."""
    return build_network(reference, network, dataset, run, run.seed)[0].preprocessing


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
        edge=network.edge(),
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
    if network.for_edge:
        record["edge"] = list(built.edge)
    module = built.module.to(run.device)
    return BuiltModel(module, preprocessing, built.notes, edge=built.edge), record


def plan_views(
    train: Split, source: str, size: tuple[int, int], augmenting: Augmenting, run: Run
) -> ViewPlan:
    """Which views there are.

    They depend on the command's seed, not on a run's: all runs, and the student without a teacher,
    see the same views, so that one pass of the teacher serves them all.

    Args:
        train: the images.
        source: names them.
        size: of the views, unless the user asked for another.
        augmenting: what is done to them.
        run: its seed.
    """
    side = augmenting.view_size
    return ViewPlan(
        split=train,
        source=f"{source}:{run.resize}",  # other shapes meet the size in one way or the other
        size=(side, side) if side else size,
        augmenting=augmenting,
        seed=run.seed,
    )


def train_network(trainee: Trainee, progress: Progress) -> None:
    """Train, evaluate, and write the checkpoint.

    A checkpoint that is there already is not made again: the stage's recipe vouches that it is
    of the same settings.
    """
    processes = trainee.processes
    if processes.share((trainee.folder / MANIFEST).is_file()):
        if processes.first:
            drop_state(trainee.folder)  # of a run that was killed between the two
        return
    built, model, batch_norm = _build(trainee)
    progress.say_all(built.notes)
    job = _make_job(trainee, built)
    history = fit(job, progress)
    metrics, predictions = evaluate(job, trainee.dataset, progress)
    if processes.first:
        manifest = {
            "model": model,
            "classes": list(trainee.dataset.classes),
            "preprocessing": built.preprocessing.to_dict(),
            "metrics": metrics,
            "history": history,
            "seed": trainee.seed,
            "threads": trainee.run.threads,
            "processes": processes.count,
            "batch_norm": batch_norm,
            "data": data_record(trainee.dataset, trainee.run),
            "teacher": None,
            "baseline": None,
        }
        write_predictions(trainee.folder, predictions)
        if trainee.keep is not None and job.pupil is not None:
            trainee.keep(trainee.folder, job.pupil)
        save_checkpoint(trainee.folder, job.module, manifest | dict(trainee.record()))
        drop_state(trainee.folder)
    processes.wait()


def make_job(trainee: Trainee, progress: Progress) -> Job:
    """The network, built, and all that it is trained by."""
    built, _, _ = _build(trainee)
    progress.say_all(built.notes)
    return _make_job(trainee, built)


def _build(trainee: Trainee) -> tuple[BuiltModel, dict[str, Any], str]:
    """The network as its processes train it, how it was built, and BatchNorm's statistics."""
    built, model = build_network(
        trainee.reference, trainee.network, trainee.dataset, trainee.run, trainee.seed
    )
    device, parts = torch.device(trainee.run.device), trainee.training.accumulate
    module, batch_norm = trainee.processes.batch_norm(built.module, device, parts)
    return replace(built, module=module), model, batch_norm


def _make_job(trainee: Trainee, built: BuiltModel) -> Job:
    return Job(
        title=trainee.title,
        module=built.module,
        preprocessing=built.preprocessing,
        plan=_plan_batches(trainee),
        validation=trainee.dataset.validation,
        objective=trainee.objective,
        settings=trainee.training,
        epochs=trainee.training.epochs,
        folder=trainee.folder,
        evaluation_size=trainee.evaluation_size,
        processes=trainee.processes,
        pupil=_extended(trainee, built.module),
    )


def _extended(trainee: Trainee, module: nn.Module) -> Pupil | None:
    """The pupil; its weights are drawn apart, so that the network's are those without it."""
    if trainee.extend is None:
        return None
    sequence = np.random.SeedSequence(entropy=trainee.seed, spawn_key=(_CONNECTORS,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        pupil = trainee.extend(module)
    device, parts = torch.device(trainee.run.device), trainee.training.accumulate
    converted, _ = trainee.processes.batch_norm(pupil.connectors.to(device), device, parts)
    pupil.connectors = cast("nn.ModuleList", converted)
    return pupil


def _plan_batches(trainee: Trainee) -> BatchPlan:
    """How views become steps, and steps become parts.

    Raises:
        UsageError: a step has fewer images than parts.
    """
    parts = trainee.processes.count * trainee.training.accumulate
    plan = BatchPlan(
        views=trainee.views,
        batch_size=trainee.training.batch_size,
        order_seed=trainee.seed,
        parts=parts,
    )
    smallest = len(trainee.views.split) // plan.steps()
    if smallest < parts:
        raise UsageError(
            f"--batch-size {plan.batch_size}: expected {parts} images or more in each step, one "
            f"for each process and part, found {smallest}; use larger batches or fewer parts"
        )
    return plan
