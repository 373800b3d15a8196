"""A student with taps: trained with its connectors, evaluated and kept without them."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import tiny
from compress.errors import TrainingError
from compress.models.taps import Tap
from compress.progress import SILENT
from compress.settings import Augmenting, Network, Run, Training
from compress.training.batches import read_batch
from compress.training.gradients import weigh_terms
from compress.training.loop import fit, make_learner
from compress.training.objective import label_objective
from compress.training.preflight import preflight
from compress.training.pupil import Outputs, Pupil
from compress.training.state import STATE
from compress.training.step import take_step
from compress.training.trainee import Trainee, train_network
from compress.training.trainee import make_job as job_of
from compress.training.views import ViewPlan
from training_jobs import DATA, make_job, weights

PLAIN = label_objective(0.0)


def connect(module: nn.Module) -> Pupil:
    """Taps in resnet8's last two stages, each with a connector."""
    torch.manual_seed(1)
    made = [nn.Sequential(nn.Conv2d(c, 8, 1, bias=False), nn.BatchNorm2d(8)) for c in (32, 64)]
    return Pupil(module, [Tap("stage2"), Tap("stage3.0.conv2")], made)


def connect_lenet(module: nn.Module) -> Pupil:
    """Taps in lenet5, behind which there are no batch statistics."""
    torch.manual_seed(1)
    return Pupil(module, [Tap("5"), Tap("1")], [nn.Conv2d(16, 8, 1), nn.Conv2d(6, 4, 1)])


def attract(batch, outputs: Outputs):
    """The labels, and features that are to be positive; means over the step."""
    share = len(batch) / batch.images_in_step
    apart = [feature - feature.detach().abs() for feature in outputs.features]
    hint = share * torch.stack([each.square().mean() for each in apart]).sum()
    return PLAIN(batch, outputs) | {"hint": hint}


def pupil_job(folder, **settings):
    common = {"network": "resnet8", "objective": attract, "extend": connect}
    return make_job(folder, **(common | settings))


def first_step(job) -> dict[str, float]:
    parts = [read_batch(job.plan, 0, 0, part) for part in range(job.plan.parts)]
    learner = make_learner(job)
    learner.network.train()
    return take_step(job, learner, 0, parts)


def gradients(job) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in job.trained().parameters()])


def connectors(job) -> torch.Tensor:
    state = job.pupil.connectors.state_dict().values()
    return torch.cat([tensor.flatten().float() for tensor in state])


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


def test_a_pupil_gives_the_students_logits_and_features_through_its_connectors(tmp_path):
    pupil = pupil_job(tmp_path).pupil.eval()
    images = torch.randn(4, 1, 16, 16)
    logits, features = pupil(images)
    student = pupil.student
    assert torch.equal(logits, student(images))
    maps = student[:3](images)
    assert torch.equal(features[0], pupil.connectors[0](maps))
    assert [tuple(feature.shape) for feature in features] == [(4, 8, 8, 8), (4, 8, 4, 4)]


def test_the_student_is_saved_and_kept_without_connectors_or_hooks(tmp_path):
    job = pupil_job(tmp_path, ema=0.9, select="best")
    names = list(job.module.state_dict())
    before = connectors(job)
    fit(job, SILENT)
    state = torch.load(tmp_path / STATE, weights_only=True)
    assert list(state["model"]) == names == list(job.module.state_dict())
    assert set(state["connectors"]) == set(job.pupil.connectors.state_dict())
    assert hooks(job.module) == 0
    assert not torch.equal(connectors(job), before)


def test_a_pupil_whose_features_do_not_count_trains_the_plain_student(tmp_path):
    def unweighted(batch, outputs):
        return {"ce": PLAIN(batch, outputs)["ce"], "hint": 0 * attract(batch, outputs)["hint"]}

    plain = make_job(tmp_path / "a", network="resnet8", clip_norm=0.0)
    taught = pupil_job(tmp_path / "b", objective=unweighted, clip_norm=0.0)
    fit(plain, SILENT)
    fit(taught, SILENT)
    assert torch.equal(weights(plain), weights(taught))


def test_a_crash_at_any_step_changes_nothing_in_the_end(tmp_path):
    settings = {"epochs": 3, "ema": 0.9, "checkpoint_every": 2}
    whole = pupil_job(tmp_path / "whole", **settings)
    expected = fit(whole, SILENT)
    for calls in (6, 13):  # two a step: after the states of step 2 and of step 6
        seen = []

        def crash(batch, outputs, seen=seen, calls=calls):
            seen.append(batch)
            if len(seen) == calls:
                raise RuntimeError("crash")
            return attract(batch, outputs)

        folder = tmp_path / str(calls)
        with pytest.raises(RuntimeError, match="crash"):
            fit(pupil_job(folder, objective=crash, **settings), SILENT)
        torch.manual_seed(99)
        resumed = pupil_job(folder, workers=2, **settings)
        with torch.no_grad():
            resumed.pupil.connectors[0][0].weight.fill_(7)
        history = fit(resumed, SILENT)
        assert [row["hint"] for row in history] == [row["hint"] for row in expected]
        assert torch.equal(weights(resumed), weights(whole))
        assert torch.equal(connectors(resumed), connectors(whole))


def test_connectors_that_are_not_finite_are_never_saved(tmp_path):
    class Lost(nn.Identity):
        """Has a weight that is lost, and not used."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((3,), torch.nan))

    def extend(module):
        return Pupil(module, [Tap("stage2")], [Lost()])

    with pytest.raises(TrainingError, match="expected finite weights"):
        fit(pupil_job(tmp_path, extend=extend), SILENT)
    assert not (tmp_path / STATE).is_file()


def test_parts_of_a_step_add_up_to_the_step_for_connectors_too(tmp_path):
    settings = {"network": "lenet5", "extend": connect_lenet, "clip_norm": 0.0}
    whole = pupil_job(tmp_path, **settings)
    parts = pupil_job(tmp_path, **settings, accumulate=4)
    one, four = first_step(whole), first_step(parts)
    assert four["hint"] == pytest.approx(one["hint"], rel=1e-5)
    assert torch.allclose(gradients(whole), gradients(parts), atol=1e-6)


def test_features_are_float32_under_bfloat16_in_both_layouts(tmp_path):
    seen, sums = set(), []

    def objective(batch, outputs):
        seen.update(feature.dtype for feature in outputs.features)
        return attract(batch, outputs)

    for precision in ("float32", "bfloat16"):
        for layout in (True, False):
            settings = {"precision": precision, "channels_last": layout, "objective": objective}
            sums.append(first_step(pupil_job(tmp_path, **settings))["loss"])
    assert seen == {torch.float32}
    assert sums == pytest.approx([sums[0]] * 4, rel=2e-2)
    assert sums[1] == pytest.approx(sums[0], rel=1e-5)


def test_terms_that_logits_do_not_decide_are_not_compared_with_chance(tmp_path):
    figures = first_step(pupil_job(tmp_path))
    compared = {name for name in figures if "/" in name}
    assert compared == {"chance/ce", "probe/ce"}
    assert figures["loss"] == pytest.approx(figures["ce"] + figures["hint"])

    def nothing_to_learn(batch, outputs):
        ce = outputs.logits.sum() * 0 + 1.0986
        return {"ce": ce, "hint": 1e-3 / (1 + batch.epoch) * attract(batch, outputs)["hint"]}

    small = {"network": "lenet5", "extend": connect_lenet, "lr": 1e-9, "warmup": 0.0}
    job = pupil_job(tmp_path, epochs=20, objective=nothing_to_learn, **small)
    job = replace(job, plan=replace(job.plan, batch_size=2))  # 48 steps an epoch
    with pytest.raises(TrainingError, match=r"found ce 1\.099 \(chance 1\.099\) and"):
        fit(job, SILENT)


def test_a_frozen_part_stays_in_eval_mode_within_a_pupil(tmp_path):
    job = pupil_job(tmp_path, freeze=2)
    frozen = copy.deepcopy(job.module.stem.state_dict())
    fit(job, SILENT)
    assert all(torch.equal(t, frozen[name]) for name, t in job.module.stem.state_dict().items())


def test_terms_are_weighed_as_they_are_once_their_weights_are_warm(tmp_path):
    def warming(batch, outputs):
        weight = min(1.0, batch.epoch / 2)
        terms = attract(batch, outputs)
        return terms | {"hint": weight * terms["hint"]}

    warm, cold = (weigh_terms(pupil_job(tmp_path, objective=o)) for o in (attract, warming))
    assert cold.values == warm.values
    assert cold.norms == warm.norms
    assert warm.norms["hint"] > 0


def test_a_batch_knows_how_many_epochs_came_before_it(tmp_path):
    plan = make_job(tmp_path).plan
    found = [read_batch(plan, 1, step).epoch for step in range(3)]
    assert found == pytest.approx([1, 4 / 3, 5 / 3])


def test_a_dry_run_counts_connectors_and_leaves_the_pupil_as_it_was(tmp_path):
    job = pupil_job(tmp_path)
    before = copy.deepcopy(job.pupil.state_dict())
    found = preflight(job, DATA)
    assert all(torch.equal(t, before[name]) for name, t in job.pupil.state_dict().items())
    student = sum(p.numel() for p in job.module.parameters())
    beside = sum(p.numel() for p in job.pupil.connectors.parameters())
    assert found["student"]["parameters"] == student
    assert found["student"]["connector_parameters"] == beside == 8 * (32 + 64) + 2 * 2 * 8
    assert found["memory"]["gradients_bytes"] == 4 * (student + beside)
    assert {"ce", "hint"} == set(found["terms"])


def trainee(folder, **fields) -> Trainee:
    """A resnet8 on the tiny images."""
    run = Run(threads=1)
    views = ViewPlan(
        split=DATA.train, source="tiny", size=(16, 16), augmenting=Augmenting(), seed=0
    )
    return Trainee(
        title="net",
        reference="resnet8",
        network=Network(),
        training=Training(batch_size=32, epochs=1),
        run=run,
        dataset=tiny.dataset(),
        views=views,
        evaluation_size=(16, 16),
        seed=3,
        folder=folder,
        record=dict,
        **fields,
    )


def test_a_connector_changes_nothing_about_how_the_student_begins(tmp_path):
    def extend(module):
        return Pupil(module, [Tap("stage2")], [nn.Conv2d(32, 8, 1)])

    plain = job_of(trainee(tmp_path, objective=PLAIN), SILENT)
    random_state = torch.get_rng_state()
    taught = job_of(trainee(tmp_path, objective=attract, extend=extend), SILENT)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(weights(plain), weights(taught))
    again = job_of(trainee(tmp_path, objective=attract, extend=extend), SILENT)
    assert torch.equal(connectors(again), connectors(taught))


def test_the_pupil_is_handed_on_before_the_checkpoint_is_finished(tmp_path):
    kept = []

    def keep(folder, pupil):
        kept.append((folder, sorted(path.name for path in folder.iterdir()), hooks(pupil)))

    train_network(trainee(tmp_path, objective=attract, extend=connect, keep=keep), SILENT)
    ((folder, there, left),) = kept
    assert (folder, left) == (tmp_path, 0)
    assert "manifest.json" not in there


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, which imports half of torch
def test_hooks_are_part_of_a_compiled_graph(tmp_path):
    eager = pupil_job(tmp_path).pupil
    traced = copy.deepcopy(eager)
    compiled = torch.compile(traced, backend="aot_eager", fullgraph=True)
    images = torch.randn(4, 1, 16, 16)
    for network in (eager, compiled):
        for _ in range(2):
            outputs = network(images)
        (outputs.logits.sum() + sum(f.pow(3).sum() for f in outputs.features)).backward()
    expected = eager(images)
    assert torch.allclose(compiled(images).features[1], expected.features[1], atol=1e-5)
    for found, gradient in zip(traced.parameters(), eager.parameters(), strict=True):
        assert torch.allclose(found.grad, gradient.grad, atol=1e-4)
