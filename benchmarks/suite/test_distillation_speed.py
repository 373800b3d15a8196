"""Distillation from kept logits beside the field's plain loop, in one run on one machine.

`pytest benchmarks/suite/test_distillation_speed.py -s --images 50000`: the time of an epoch of
resnet8 taught by resnet56 on 32 x 32 colour images, in turns; times do not depend on weights, so
that both networks are random. `-k accuracy` trains both loops to the end on real images.
"""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.data.dataset import ArrayImages, Dataset, Split
from compress.data.open import open_dataset
from compress.distill.answers import answer_from_disk, wanted_logits
from compress.distill.course import plan_course
from compress.distill.objective import distillation_objective
from compress.distill.teachers.faster import choose_runtime, hasten
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import asking
from compress.models.build import ModelSpec, build_model
from compress.models.checkpoint import save_checkpoint
from compress.preprocess import resize
from compress.progress import SILENT
from compress.settings import Augmenting, Keeping, Run, Teachers, Teaching, Training
from compress.training.batches import BatchPlan, read_batch
from compress.training.job import Job
from compress.training.loader import ahead
from compress.training.loop import fit, make_learner
from compress.training.objective import label_objective
from compress.training.processes import ALONE
from compress.training.step import take_step
from compress.training.views import ViewPlan
from suite import plain_loop

CLASSES = tuple("0123456789")
SIZE = (32, 32)
EPOCHS, VIEWS = 30, 4  # of the whole training that the totals are for
COURSE = plan_course(Teaching(temperature=4.0, kd_weight=0.9, ce_weight=0.1), len(CLASSES))


@pytest.fixture(scope="module", autouse=True)
def all_cores():
    torch.set_num_threads(len(os.sched_getaffinity(0)))


def network(name: str, channels: int = 3) -> torch.nn.Module:
    """A network of the zoo with the weights of seed 0."""
    torch.manual_seed(0)
    spec = ModelSpec(reference=name, num_classes=10, channels=channels, input_size=SIZE, args={})
    return build_model(spec).module


def noise(count: int) -> Dataset:
    """Images of noise: how they look changes no time."""
    rng = np.random.default_rng(0)

    def split(images: int) -> Split:
        pixels = rng.integers(0, 256, (images, *SIZE, 3), dtype=np.uint8)
        return Split(ArrayImages(pixels), np.arange(images) % 10)

    return Dataset("noise", CLASSES, 3, SIZE, split(count), split(200), split(200), "noise")


def save_teacher(folder: Path, module: torch.nn.Module, dataset: Dataset, name: str) -> Path:
    """A checkpoint of a teacher, as compress train leaves it."""
    spec = ModelSpec(
        reference=name, num_classes=10, channels=dataset.channels, input_size=SIZE, args={}
    )
    model = {"reference": name, "args": {}, "num_classes": 10, "channels": dataset.channels}
    model |= {"input_size": list(SIZE), "replace_head": False, "source_sha256": ""}
    manifest = {
        "model": model,
        "classes": list(dataset.classes),
        "preprocessing": build_model(spec).preprocessing.to_dict(),
        "data": {"reference": dataset.name, "fingerprint": dataset.fingerprint},
        "metrics": {},
    }
    save_checkpoint(folder, module, manifest)
    return folder


class Ours:
    """A student, its teacher's logits on disk, and what an epoch costs."""

    def __init__(self, folder: Path, dataset: Dataset, teacher: Path, epochs: int) -> None:
        self.augmenting = Augmenting(augment="crop+flip", views=VIEWS)
        self.plan = ViewPlan(
            split=dataset.train,
            source=dataset.fingerprint,
            size=SIZE,
            augmenting=self.augmenting,
            seed=0,
        )
        self.folder, self.dataset, self.epochs = folder, dataset, epochs
        run = Run(threads=torch.get_num_threads())
        self.teacher = load_teacher(Teachers(teacher=(str(teacher),)), dataset, run, SILENT)

    def keep(self, views: int) -> float:
        """Ask the teacher about so many views; returns the seconds, all of them."""
        training = Training(epochs=views)
        wanted = wanted_logits(self.plan, 4.0, training, Keeping(spot_check=0), ALONE)
        started = time.perf_counter()
        images = VIEWS * len(self.plan.split)  # of the whole training: decides what it answers by
        runtime = choose_runtime(self.teacher, images, "auto")
        fast = hasten(self.teacher, self.plan, runtime, "auto", SILENT)
        self.kept = answer_from_disk(fast, wanted, self.folder / "logits", ALONE, SILENT)
        return time.perf_counter() - started

    def job(self, taught: bool) -> Job:
        """The training of a student, with the kept logits or with labels alone."""
        objective = label_objective(0.0)
        if taught:
            objective = distillation_objective(
                asking(self.kept), COURSE, (), epochs=self.epochs, label_smoothing=0.0
            )
        channels = self.dataset.channels
        spec = ModelSpec(
            reference="resnet8", num_classes=10, channels=channels, input_size=SIZE, args={}
        )
        torch.manual_seed(0)
        built = build_model(spec)
        return Job(
            title="ours",
            module=built.module,
            preprocessing=built.preprocessing,
            plan=BatchPlan(views=self.plan, batch_size=128, order_seed=0),
            validation=self.dataset.validation,
            objective=objective,
            settings=Training(epochs=self.epochs),
            epochs=self.epochs,
            folder=self.folder / ("taught" if taught else "plain"),
            evaluation_size=SIZE,
        )


class Course:
    """One of our trainings, an epoch at a time, by the loop's own steps."""

    def __init__(self, job: Job, views: int) -> None:
        self.job, self.learner, self.views, self.done = job, make_learner(job), views, 0

    def epoch(self) -> float:
        """The seconds of all steps of an epoch, without validation."""
        steps, started = self.job.plan.steps(), time.perf_counter()
        self.learner.network.train()
        read = partial(read_batch, self.job.plan, self.done % self.views)
        for step, batch in enumerate(ahead(read, range(steps), 0)):
            take_step(self.job, self.learner, self.done * steps + step, [batch])
        self.done += 1
        return time.perf_counter() - started


def middle(values: list[float]) -> float:
    return float(np.median(values))


def spread(name: str, values: list[float]) -> str:
    """The median ratio and its range over the rounds."""
    return f"{name}: {middle(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def test_time_of_an_epoch_beside_the_plain_loop(request, tmp_path, capsys):
    images, rounds = (request.config.getoption(name) for name in ("--images", "--rounds"))
    dataset = noise(images)
    teacher = network("resnet56")
    ours = Ours(tmp_path, dataset, save_teacher(tmp_path / "t", teacher, dataset, "resnet56"), 30)
    making = ours.keep(1)
    taught = Course(ours.job(taught=True), views=1)
    plain = Course(ours.job(taught=False), views=1)
    pil = plain_loop.PilImages(dataset.train.images.pixels, dataset.train.labels, pad=4)
    peer = plain_loop.PlainLoop(network("resnet8"), teacher, pil, epochs=EPOCHS)
    seconds = {"plain loop": [], "ours, kept": [], "ours, no teacher": []}
    for _ in range(rounds):  # in turns, since the machine's speed moves
        seconds["ours, kept"].append(taught.epoch())
        seconds["ours, no teacher"].append(plain.epoch())
        seconds["plain loop"].append(peer.epoch())
    loop, kept, alone = (np.array(v) for v in seconds.values())
    with_making = EPOCHS * loop / (EPOCHS * kept + VIEWS * making)
    with capsys.disabled():
        threads = torch.get_num_threads()
        print(
            f"\nresnet8 from resnet56, {images:,} images of 32 x 32 x 3, {threads} threads; "
            "seconds an epoch"
        )
        for name, values in seconds.items():
            print(f"  {name:18} {'  '.join(f'{v:.1f}' for v in values)}")
        print(f"  one view of kept logits {making:.1f}")
        print("ratios, median and range over rounds")
        print("  " + spread("kept / no teacher (target at most 1.05)", list(kept / alone)))
        print("  " + spread("plain loop / kept (target 3)", list(loop / kept)))
        print(
            "  "
            + spread(
                f"the same for {EPOCHS} epochs with the making of {VIEWS} views (target 2)",
                list(with_making),
            )
        )


def test_rate_of_the_input_pipeline(request, capsys):
    dataset = noise(request.config.getoption("--images"))
    views = ViewPlan(
        split=dataset.train, source="noise", size=SIZE, augmenting=Augmenting(), seed=0
    )
    plan = BatchPlan(views=views, batch_size=128, order_seed=0)
    job = Job(
        title="resnet8",
        module=network("resnet8"),
        preprocessing=build_model(
            ModelSpec(reference="resnet8", num_classes=10, channels=3, input_size=SIZE, args={})
        ).preprocessing,
        plan=plan,
        validation=dataset.validation,
        objective=label_objective(0.0),
        settings=Training(),
        epochs=1,
        folder=Path(),
        evaluation_size=SIZE,
    )
    learner, ratios = make_learner(job), []
    learner.network.train()
    with capsys.disabled():
        for _ in range(request.config.getoption("--rounds")):
            started, count = time.perf_counter(), 0
            for batch in ahead(partial(read_batch, plan, 0), range(plan.steps()), 0):
                count += len(batch)
            reading = count / (time.perf_counter() - started)
            started, count = time.perf_counter(), 0
            for step in range(8, 24):
                batch = read_batch(plan, 0, step)
                take_step(job, learner, step, [batch])
                count += len(batch)
            training = count / (time.perf_counter() - started)
            ratios.append(reading / training)
            print(f"\n  crop and flip {reading:,.0f} images/s, resnet8 trains {training:,.0f}")
        print("  " + spread("ratio (target 10)", ratios))


def test_accuracy_is_that_of_the_plain_loop(request, tmp_path, capsys):
    """Both loops to the end on the embedded images, enlarged to 32 x 32."""
    epochs = request.config.getoption("--epochs")
    embedded = open_dataset("demo")

    def enlarged(split: Split) -> Split:
        pixels = resize(split.images.batch(np.arange(len(split)), (28, 28)), SIZE)
        return Split(ArrayImages(np.asarray(pixels)), split.labels)

    parts = [enlarged(embedded.split(name)) for name in ("train", "validation", "test")]
    dataset = Dataset("demo32", embedded.classes, 1, SIZE, *parts, embedded.fingerprint)
    teacher = network("resnet20", 1)
    school = Ours(tmp_path / "school", dataset, _taught(tmp_path, teacher, dataset), epochs)
    started = time.perf_counter()
    making = school.keep(min(VIEWS, epochs))
    job = school.job(taught=True)
    fit(job, SILENT)
    ours = time.perf_counter() - started
    train, test = dataset.train, dataset.test
    pil = plain_loop.PilImages(train.images.pixels, train.labels, pad=4)
    peer = plain_loop.PlainLoop(network("resnet8", 1), teacher, pil, epochs=epochs)
    theirs = sum(peer.epoch() for _ in range(epochs))
    accuracy = partial(peer.accuracy, test.images.pixels, test.labels)
    found = accuracy()
    peer.student = job.module
    with capsys.disabled():
        print(
            f"\nresnet8 from resnet20, {len(train):,} images, {epochs} epochs, "
            f"{len(test):,} test images"
        )
        print(f"  plain loop {100 * found:.2f} % in {theirs:.0f} s")
        print(
            f"  ours       {100 * accuracy():.2f} % in {ours:.0f} s, "
            f"{making:.0f} s of them for the logits"
        )


def _taught(folder: Path, teacher: torch.nn.Module, dataset: Dataset) -> Path:
    """A teacher that knows these images, trained by our own loop."""
    settings = Training(epochs=8, lr=0.1)
    views = ViewPlan(split=dataset.train, source="demo", size=SIZE, augmenting=Augmenting(), seed=0)
    spec = ModelSpec(reference="resnet20", num_classes=10, channels=1, input_size=SIZE, args={})
    job = Job(
        title="teacher",
        module=teacher,
        preprocessing=build_model(spec).preprocessing,
        plan=BatchPlan(views=views, batch_size=128, order_seed=0),
        validation=dataset.validation,
        objective=label_objective(0.0),
        settings=settings,
        epochs=settings.epochs,
        folder=folder / "teacher-state",
        evaluation_size=SIZE,
    )
    fit(job, SILENT)
    return save_teacher(folder / "teacher", teacher, dataset, "resnet20")
