"""One step: what a network cannot take is said with the flag that mends it."""

from dataclasses import replace

import pytest
from torch import nn

import training_jobs
from compress.errors import ModelError
from compress.training.batches import read_batch
from compress.training.loop import make_learner
from compress.training.step import take_step


def step_of(module: nn.Module, tmp_path, batch_size: int) -> dict[str, float]:
    """The first step of `module` with so many images."""
    job = training_jobs.make_job(tmp_path)
    job = replace(job, module=module, plan=replace(job.plan, batch_size=batch_size))
    return take_step(job, make_learner(job), 0, [read_batch(job.plan, 0, 0, 0)])


def test_a_network_that_cannot_take_one_image_names_the_flags(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 3))
    with pytest.raises(ModelError, match="found 1 image in one; use a larger --batch-size than 1"):
        step_of(module, tmp_path, 1)
    assert step_of(module, tmp_path, 2)["loss"] > 0


def test_another_error_of_a_network_is_not_taken_for_that(tmp_path):
    class Broken(nn.Linear):
        def forward(self, inputs):
            raise ValueError("no way")

    with pytest.raises(ValueError, match="no way"):
        step_of(Broken(256, 3), tmp_path, 1)
