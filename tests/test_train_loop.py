"""The loop: deterministic, resumable at any step, and loud when it diverges."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.data.dataset import Split
from compress.errors import ArtifactError, TrainingError
from compress.models.head import freeze_first
from compress.progress import SILENT
from compress.training.learner import Position
from compress.training.loop import fit, make_learner
from compress.training.objective import label_objective
from compress.training.state import HELD, STATE, load_state
from training_jobs import DATA, make_job, weights


def without_seconds(history: list) -> list:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def interrupted_after(calls: int):
    """The plain objective, which fails as a crash would at its n-th call."""
    plain, seen = label_objective(0.0), []

    def objective(batch, outputs):
        seen.append(batch)
        if len(seen) == calls:
            raise RuntimeError("crash")
        return plain(batch, outputs)

    return objective


def test_a_network_learns_what_is_easy(tmp_path):
    history = fit(make_job(tmp_path, epochs=8), SILENT)
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_same_seed_gives_the_same_weights(tmp_path):
    first, second = make_job(tmp_path / "a"), make_job(tmp_path / "b")
    fit(first, SILENT)
    fit(second, SILENT)
    assert torch.equal(weights(first), weights(second))


# Everything that has a state of its own: the optimiser's two kinds, the average, the best weights.
KINDS = {
    "sgd": {},
    "adamw, average, best": {
        "optimizer": "adamw",
        "lr": 0.003,
        "schedule": "one-cycle",
        "ema": 0.9,
        "select": "best",
    },
    "parts in bfloat16": {"accumulate": 2, "precision": "bfloat16", "network": "lenet5"},
    "mixed views, other workers": {"augmenting": {"mixup": 0.5, "cutmix": 1.0, "erasing": 0.5}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_step_changes_nothing_in_the_end(tmp_path, kind):
    settings = {"network": "resnet8", **KINDS[kind]}
    whole = make_job(tmp_path / "whole", epochs=4, **settings)
    expected = fit(whole, SILENT)
    for calls in (3, 9, 16):
        folder = tmp_path / str(calls)
        crash = interrupted_after(calls)
        cut = {"checkpoint_every": 2, "objective": crash, **settings}
        with pytest.raises(RuntimeError, match="crash"):
            fit(make_job(folder, epochs=4, **cut), SILENT)
        torch.manual_seed(99)  # no random state outlives a step
        resumed = make_job(folder, epochs=4, workers=calls % 2, **settings)
        assert without_seconds(fit(resumed, SILENT)) == without_seconds(expected)
        assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_step_that_was_being_taken(tmp_path, number):
    plain = label_objective(0.0)
    seen = []

    def objective(batch, outputs):
        seen.append(batch)
        if len(seen) == 9:
            os.kill(os.getpid(), number)
        return plain(batch, outputs)

    with pytest.raises(KeyboardInterrupt):
        fit(make_job(tmp_path, epochs=4, objective=objective), SILENT)
    job = make_job(tmp_path, epochs=4)
    # Three steps an epoch, all of which ask the objective twice: the ninth call is in step five.
    assert load_state(tmp_path, make_learner(job)).step == 5


def test_a_training_that_is_not_wanted_any_more_ends_with_its_epoch(tmp_path):
    seen = []
    job = make_job(tmp_path, epochs=4)
    wanted = replace(job, keep_going=lambda found: seen.append(list(found)) or len(found) < 2)
    history = fit(wanted, SILENT)
    assert [len(found) for found in seen] == [1, 2]
    assert seen[-1] == [row["validation_accuracy"] for row in history]


def test_a_signal_is_heard_in_an_epoch_after_which_training_would_end(tmp_path):
    job = make_job(tmp_path, epochs=4)
    leaves = replace(job, keep_going=lambda _: (os.kill(os.getpid(), signal.SIGINT), False)[1])
    with pytest.raises(KeyboardInterrupt):
        fit(leaves, SILENT)


def test_a_loss_that_is_not_finite_stops_with_terms_step_state_and_remedy(tmp_path):
    job = make_job(tmp_path, lr=1e12, clip_norm=0.0, warmup=0.0, epochs=3, checkpoint_every=1)
    with pytest.raises(
        TrainingError,
        match=r"test: expected a finite loss, found loss nan, ce nan at step \d+; "
        rf"the last good state is .*{STATE}; use a lower --lr than 1e\+12 with --force",
    ):
        fit(job, SILENT)
    learner = make_learner(make_job(tmp_path))
    load_state(tmp_path, learner)


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    # A finite loss, then a step that throws the weights to infinity.
    job = make_job(tmp_path, lr=3e38, clip_norm=0.0, warmup=0.0, checkpoint_every=1)
    with pytest.raises(TrainingError, match=r"expected finite weights.* after step \d"):
        fit(job, SILENT)
    assert not (tmp_path / STATE).is_file()


def test_the_state_of_the_last_good_epoch_outlives_those_after_it(tmp_path):
    good = label_objective(0.0)

    def nothing_to_learn(batch, outputs):
        learning = len(seen) < 6 * 3  # three epochs of three steps, each with its silent student
        seen.append(batch)
        return good(batch, outputs) if learning else {"ce": outputs.logits.sum() * 0 + np.log(3)}

    seen: list = []
    job = make_job(tmp_path, epochs=200, objective=nothing_to_learn, lr=0.01, warmup=0.0)
    with pytest.raises(TrainingError, match=rf"the last good state is .*{HELD}"):
        fit(type(job)(**{**vars(job), "validation": _unlearnable()}), SILENT)
    held = torch.load(tmp_path / HELD, weights_only=True)
    assert held["position"]["step"] == 9


def _unlearnable() -> Split:
    """Validation that no network is right on more often than chance."""
    labels = np.random.default_rng(5).permutation(DATA.validation.labels)
    return Split(DATA.validation.images, labels)


def test_a_network_that_stays_at_chance_is_stopped(tmp_path):
    def nothing_to_learn(batch, outputs):
        return {"ce": outputs.logits.square().mean() * 0 + np.log(3)}

    job = make_job(tmp_path, epochs=200, objective=nothing_to_learn, lr=1e-9, warmup=0.0)
    with pytest.raises(TrainingError, match=r"expected to learn something .* ce 1\.099 \(chance 1"):
        fit(job, SILENT)


def test_a_damaged_state_is_refused_by_name(tmp_path):
    fit(make_job(tmp_path), SILENT)
    path = tmp_path / STATE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtifactError, match=f"{STATE}: cannot be resumed from"):
        fit(make_job(tmp_path, epochs=3), SILENT)


def test_no_state_is_the_start(tmp_path):
    assert load_state(tmp_path, make_learner(make_job(tmp_path))) == Position()


def test_frozen_modules_keep_their_weights_and_statistics(tmp_path):
    job = make_job(tmp_path, network="resnet8", freeze=2)
    frozen = {n for n, p in job.module.named_parameters() if not p.requires_grad}
    before = {name: t.clone() for name, t in job.module.state_dict().items()}
    fit(job, SILENT)
    after = job.module.state_dict()
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    assert frozen
    assert not moved & frozen
    parts = {name.rpartition(".")[0] for name in frozen}
    assert not {name for name in moved if name.rpartition(".")[0] in parts}


def test_the_average_of_the_weights_is_what_is_kept(tmp_path):
    plain, averaged = make_job(tmp_path / "a"), make_job(tmp_path / "b", ema=0.99)
    fit(plain, SILENT)
    fit(averaged, SILENT)
    assert not torch.equal(weights(plain), weights(averaged))


def test_the_average_follows_the_formula(tmp_path):
    learner = make_learner(make_job(tmp_path, ema=0.5))
    name, parameter = next(iter(learner.module.named_parameters()))
    expected = None
    for value, decay in ((1.0, None), (2.0, 2 / 11), (4.0, 3 / 12)):
        with torch.no_grad():
            parameter.fill_(value)
        learner.average.update_parameters(learner.module)
        # Copied first, then a decay of (1 + n) / (10 + n) while that is below 0.5.
        expected = value if decay is None else decay * expected + (1 - decay) * value
    assert learner.to_keep().state_dict()[name].flatten()[0].item() == pytest.approx(expected)


def test_the_best_weights_on_validation_are_kept_where_asked_for(tmp_path):
    job = make_job(tmp_path, epochs=6, select="best")
    history = fit(job, SILENT)
    best = max(row["validation_accuracy"] for row in history)
    first = next(row["epoch"] for row in history if row["validation_accuracy"] == best)
    # Trained for so long and no longer, with the schedule of six epochs.
    learner = make_learner(make_job(tmp_path, epochs=6, select="best"))
    load_state(tmp_path, learner)
    assert learner.best.epoch == first
    kept = torch.cat([t.flatten().float() for t in learner.best.weights.values()])
    assert torch.equal(kept, weights(job))


def test_parts_of_a_step_add_up_to_the_step(tmp_path):
    # lenet5 has no batch statistics, so that only the order of sums differs.
    whole, parts = (
        make_job(tmp_path / "a", epochs=1),
        make_job(tmp_path / "b", epochs=1, accumulate=4),
    )
    one, four = fit(whole, SILENT), fit(parts, SILENT)
    assert torch.allclose(weights(whole), weights(parts), atol=1e-6)
    assert four[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-5)
    assert four[0]["train_accuracy"] == one[0]["train_accuracy"]


def test_losses_are_float32_under_bfloat16(tmp_path):
    seen = set()

    def objective(batch, outputs):
        seen.add(outputs.logits.dtype)
        return label_objective(0.0)(batch, outputs)

    fit(make_job(tmp_path, epochs=1, precision="bfloat16", objective=objective), SILENT)
    assert seen == {torch.float32}


def test_dropout_is_a_function_of_the_step(tmp_path):
    """No random state is saved, since none is needed."""
    job = make_job(tmp_path)
    job.module.append(torch.nn.Dropout(0.5))
    masks = []

    def objective(batch, outputs):
        masks.append((outputs.logits == 0).detach().clone())
        return label_objective(0.0)(batch, outputs)

    fit(type(job)(**{**vars(job), "objective": objective, "epochs": 1}), SILENT)
    first = masks[0]
    assert 0 < first.float().mean() < 1
    masks.clear()
    again = make_job(tmp_path / "again")
    again.module.append(torch.nn.Dropout(0.5))
    torch.manual_seed(12345)
    fit(type(again)(**{**vars(again), "objective": objective, "epochs": 1}), SILENT)
    assert torch.equal(masks[0], first)


def test_freezing_everything_leaves_nothing_to_train(tmp_path):
    job = make_job(tmp_path)
    with pytest.raises(Exception, match="the last of which must learn"):
        freeze_first(job.module, 99)
    assert len(DATA.train) == 96
