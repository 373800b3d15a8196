"""Learning rate and optimiser, against numbers worked out by hand or by torch's own schedule."""

import pytest
import torch
from torch import nn

from compress.settings import Training
from compress.training.optimizer import make_optimizer
from compress.training.schedule import Pace, pace_at, set_pace


@pytest.mark.parametrize(
    ("step", "rate"),
    # 100 steps, of which 10 rise: 1/10 after the first, 1 at the tenth, then a cosine
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (99, 0.000304586)],
)
def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine(step, rate):
    settings = Training(warmup=0.1)
    assert pace_at(step, steps=100, settings=settings).rate == pytest.approx(rate, abs=1e-6)


def test_the_learning_rate_without_warm_up_starts_at_its_peak():
    assert pace_at(0, steps=10, settings=Training(warmup=0.0)) == Pace(1.0)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_one_cycle_is_torchs(kind):
    network = nn.Linear(2, 2)
    settings = Training(optimizer=kind, schedule="one-cycle", lr=0.3, warmup=0.25)
    ours = make_optimizer(network, settings)
    theirs = make_optimizer(network, settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=0.3, total_steps=40, pct_start=0.25
    )
    for step in range(40):
        set_pace(ours, pace_at(step, steps=40, settings=settings), settings.lr)
        for mine, reference in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert mine["lr"] == pytest.approx(reference["lr"], rel=1e-9)
            if kind == "sgd":
                assert mine["momentum"] == pytest.approx(reference["momentum"])
            else:
                assert mine["betas"] == pytest.approx(reference["betas"])
        theirs.step()
        if step < 39:
            schedule.step()


def test_norms_and_biases_are_not_decayed():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    decayed, free = make_optimizer(network, Training()).param_groups
    assert decayed["weight_decay"] == pytest.approx(5e-4)
    assert free["weight_decay"] == 0
    assert [p.ndim for p in decayed["params"]] == [4]
    assert [p.ndim for p in free["params"]] == [1, 1, 1]
