"""The loop: deterministic, resumable, and loud when it diverges."""

from pathlib import Path

import pytest
import torch

import tiny
from compress.errors import ArtifactError, TrainingError
from compress.models.build import ModelSpec, build_model
from compress.models.head import freeze_first
from compress.progress import SILENT
from compress.settings import Training
from compress.training.batches import BatchPlan
from compress.training.loop import Job, fit
from compress.training.objective import label_objective
from compress.training.optimizer import make_optimizer, rate_at
from compress.training.state import STATE, load_state

DATA = tiny.dataset()


def _job(folder: Path, epochs: int = 2, objective=None, freeze: int = 0, **settings) -> Job:
    torch.manual_seed(0)
    spec = ModelSpec(reference="lenet5", num_classes=3, channels=1, input_size=(16, 16), args={})
    built = build_model(spec)
    if freeze:
        freeze_first(built.module, freeze)
    return Job(
        title="test",
        module=built.module,
        preprocessing=built.preprocessing,
        plan=BatchPlan(
            split=DATA.train,
            size=(16, 16),
            batch_size=32,
            augment="crop+flip",
            views=0,
            order_seed=0,
            view_seed=0,
        ),
        validation=DATA.validation,
        objective=objective or label_objective(0.0),
        settings=Training(**settings),
        epochs=epochs,
        folder=folder,
    )


def _weights(job: Job) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in job.module.parameters()])


def test_a_network_learns_what_is_easy(tmp_path):
    history = fit(_job(tmp_path, epochs=8), SILENT)
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_same_seed_gives_the_same_weights(tmp_path):
    first, second = _job(tmp_path / "a"), _job(tmp_path / "b")
    fit(first, SILENT)
    fit(second, SILENT)
    assert torch.equal(_weights(first), _weights(second))


def test_going_on_after_a_stop_gives_the_uninterrupted_weights(tmp_path):
    whole = _job(tmp_path / "whole", epochs=4)
    fit(whole, SILENT)

    calls = 0
    plain = label_objective(0.0)

    def stop_in_the_third_epoch(batch, logits):
        nonlocal calls
        calls += 1
        if calls == 2 * 3 + 2:  # three steps an epoch
            raise KeyboardInterrupt
        return plain(batch, logits)

    with pytest.raises(KeyboardInterrupt):
        fit(_job(tmp_path / "cut", epochs=4, objective=stop_in_the_third_epoch), SILENT)
    resumed = _job(tmp_path / "cut", epochs=4)
    torch.manual_seed(99)  # the state's own random numbers go before ours
    history = fit(resumed, SILENT)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert torch.equal(_weights(resumed), _weights(whole))


def test_a_loss_that_is_not_finite_stops_with_the_step_and_a_remedy(tmp_path):
    with pytest.raises(
        TrainingError, match=r"test: expected a finite loss, .* step \d+; use a lower"
    ):
        fit(_job(tmp_path, lr=1e12, clip_norm=0.0, warmup=0.0, epochs=3), SILENT)


def test_a_damaged_state_is_refused_by_name(tmp_path):
    fit(_job(tmp_path), SILENT)
    path = tmp_path / STATE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtifactError, match=f"{STATE}: cannot be resumed from"):
        fit(_job(tmp_path, epochs=3), SILENT)


def test_no_state_is_no_history(tmp_path):
    job = _job(tmp_path)
    assert load_state(tmp_path, job.module, make_optimizer(job.module, job.settings)) == []


def test_frozen_modules_keep_their_weights(tmp_path):
    job = _job(tmp_path, freeze=1)
    before = {name: p.clone() for name, p in job.module.named_parameters()}
    fit(job, SILENT)
    moved = {name for name, p in job.module.named_parameters() if not torch.equal(p, before[name])}
    frozen = {name for name, p in job.module.named_parameters() if not p.requires_grad}
    assert frozen
    assert moved == set(before) - frozen


def test_norms_and_biases_are_not_decayed(tmp_path):
    job = _job(tmp_path)
    decayed, free = make_optimizer(job.module, job.settings).param_groups
    assert decayed["weight_decay"] == pytest.approx(5e-4)
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in free["params"])


@pytest.mark.parametrize(
    ("step", "rate"),
    # 100 steps, of which 10 rise: 1/10 after the first, 1 at the tenth, then a cosine
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (99, 0.000304586)],
)
def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine(step, rate):
    assert rate_at(step, steps=100, warmup=0.1) == pytest.approx(rate, abs=1e-6)


def test_the_learning_rate_without_warm_up_starts_at_its_peak():
    assert rate_at(0, steps=10, warmup=0.0) == 1.0
