"""Small real trainings that several tests share: lenet5 on the images of tiny.py."""

from pathlib import Path

import torch

import tiny
from compress.models.build import ModelSpec, build_model
from compress.models.head import freeze_first
from compress.settings import Augmenting, Training
from compress.training.batches import BatchPlan
from compress.training.job import Job
from compress.training.objective import label_objective
from compress.training.views import ViewPlan

DATA = tiny.dataset()


def view_plan(split=DATA.train, seed: int = 0, **augmenting) -> ViewPlan:
    """Views of the tiny images."""
    return ViewPlan(
        split=split,
        source="tiny",
        size=(16, 16),
        augmenting=Augmenting(**augmenting),
        seed=seed,
    )


def make_job(
    folder: Path,
    *,
    epochs: int = 2,
    network: str = "lenet5",
    objective=None,
    freeze: int = 0,
    augmenting=None,
    extend=None,
    **settings,
) -> Job:
    """Three steps an epoch, of 32 images each; `extend` makes the pupil from the network."""
    torch.manual_seed(0)
    spec = ModelSpec(reference=network, num_classes=3, channels=1, input_size=(16, 16), args={})
    built = build_model(spec)
    if freeze:
        freeze_first(built.module, freeze)
    training = Training(batch_size=32, **settings)
    return Job(
        title="test",
        module=built.module,
        preprocessing=built.preprocessing,
        plan=BatchPlan(
            views=view_plan(**(augmenting or {})),
            batch_size=32,
            order_seed=0,
            parts=training.accumulate,
        ),
        validation=DATA.validation,
        objective=objective or label_objective(0.0),
        settings=training,
        epochs=epochs,
        folder=folder,
        evaluation_size=(16, 16),
        pupil=extend(built.module) if extend else None,
    )


def weights(job: Job) -> torch.Tensor:
    """All parameters and statistics of a job's network, one after the other."""
    return torch.cat([t.detach().flatten().float() for t in job.module.state_dict().values()])
