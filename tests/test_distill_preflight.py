"""What --dry-run finds: numbers held against others worked out apart, and nothing written."""

import json
import math
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import tiny
from compress.data.dataset import UNLABELLED, Dataset, Split
from compress.distill.course import plan_course
from compress.distill.entropy import answer_entropy
from compress.distill.objective import distillation_objective
from compress.distill.preflight import Lessons, TimedTeacher, preflight
from compress.preprocess import Preprocessing, preprocess
from compress.settings import Augmenting, Teaching, Training
from compress.show_preflight import rows, show_preflight
from compress.training.batches import BatchPlan, read_batch
from compress.training.gradients import (
    Weighed,
    are_probabilities,
    lopsided_sentences,
    weigh_terms,
)
from compress.training.job import Job
from compress.training.objective import label_objective
from compress.training.preflight import preflight as preflight_training
from compress.training.views import ViewPlan

SPEC = Preprocessing((16, 16), 1)
TEACHING = Teaching(temperature=3.0, kd_weight=0.7, ce_weight=0.3)


@dataclass
class StripeTeacher:
    """Knows bars from columns by how much neighbouring rows and columns differ."""

    name: str = "stripes"
    classes: tuple = tiny.CLASSES
    inputs: tuple = (SPEC,)
    scale: float = 0.1

    def identity(self):
        return {"kind": "test", "class_map": None}

    def bind(self, plan, temperature):
        return self

    def logits(self, views):
        pixels = views.pixels[..., 0].astype(np.float32)
        down = np.abs(np.diff(pixels, 2, axis=1)).mean(axis=(1, 2))
        right = np.abs(np.diff(pixels, 2, axis=2)).mean(axis=(1, 2))
        even = np.full_like(down, 70.0)
        return torch.from_numpy(self.scale * np.stack([down, right, even], axis=1))


def linear_student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 3))


def make_job(folder: Path, data: Dataset, module: nn.Module, objective, **settings) -> Job:
    training = Training(**{"batch_size": 32, "epochs": 4} | settings)
    views = ViewPlan(
        split=data.train, source="tiny", size=(16, 16), augmenting=Augmenting(), seed=0
    )
    parts = training.accumulate
    plan = BatchPlan(views=views, batch_size=training.batch_size, order_seed=0, parts=parts)
    return Job(
        title="distilling linear",
        module=module,
        preprocessing=SPEC,
        plan=plan,
        validation=data.validation,
        objective=objective,
        settings=training,
        epochs=training.epochs,
        evaluation_size=(16, 16),
        folder=folder,
    )


def taught_job(folder: Path, teacher: StripeTeacher | None = None, **settings):
    data = tiny.dataset()
    timed = TimedTeacher(teacher or StripeTeacher())
    objective = distillation_objective(
        timed.answers, plan_course(TEACHING, 3), (), epochs=4, label_smoothing=0.0
    )
    return make_job(folder, data, linear_student(), objective, **settings), data, timed


def by_hand(job: Job, teacher: StripeTeacher) -> dict[str, tuple[float, float]]:
    """Value and gradient norm of kd and ce in float64: means over the first three steps."""
    weight = job.module[1].weight.detach().double().numpy()
    bias = job.module[1].bias.detach().double().numpy()
    found = {"kd": [], "ce": []}
    for step in range(3):
        batch = read_batch(replace(job.plan, parts=1), 0, step)
        inputs = preprocess(batch.views.pixels, SPEC).reshape(len(batch), -1).astype(np.float64)
        logits = inputs @ weight.T + bias
        taught = teacher.logits(batch.views).double().numpy()
        temperature, rows_ = TEACHING.temperature, np.arange(len(batch))

        student_log, teacher_log = (
            log_softmax(logits / temperature),
            log_softmax(taught / temperature),
        )
        shares = np.exp(teacher_log)
        kd = 0.7 * temperature**2 * (shares * (teacher_log - student_log)).sum(1).mean()
        pull = 0.7 * temperature * (np.exp(student_log) - shares) / len(batch)  # d kd / d logits
        found["kd"].append((kd, norm(pull.T @ inputs, pull.sum(0))))

        student_log = log_softmax(logits)
        ce = -0.3 * student_log[rows_, batch.labels].mean()
        pull = 0.3 * (np.exp(student_log) - np.eye(3)[batch.labels]) / len(batch)
        found["ce"].append((ce, norm(pull.T @ inputs, pull.sum(0))))
    return {name: tuple(np.mean(values, axis=0)) for name, values in found.items()}


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def norm(*gradients) -> float:
    return math.sqrt(sum(np.square(gradient).sum() for gradient in gradients))


def test_terms_and_gradient_norms_are_those_worked_out_by_hand(tmp_path):
    job, _, timed = taught_job(tmp_path)
    weighed = weigh_terms(job)
    assert weighed.steps == 3  # 96 images, 32 a step
    for name, (value, gradient_norm) in by_hand(job, timed.teacher).items():
        assert weighed.values[name] == pytest.approx(value, rel=1e-5)
        assert weighed.norms[name] == pytest.approx(gradient_norm, rel=1e-5)
    assert weighed.ratios() == {"kd:ce": weighed.norms["kd"] / weighed.norms["ce"]}


def test_a_step_in_parts_has_the_gradients_of_the_whole_step(tmp_path):
    whole, parts = (weigh_terms(taught_job(tmp_path, accumulate=n)[0]) for n in (1, 4))
    assert parts.norms == pytest.approx(whole.norms, rel=1e-5)
    assert parts.values == pytest.approx(whole.values, rel=1e-5)


def test_frozen_weights_have_no_part_in_the_norms(tmp_path):
    job, _, _ = taught_job(tmp_path)
    job.module[1].weight.requires_grad_(False)
    batch = read_batch(job.plan, 0, 0)
    with torch.no_grad():
        logits = job.module(torch.from_numpy(preprocess(batch.views.pixels, SPEC)))
    pull = 0.3 * (torch.softmax(logits.double(), 1).numpy() - np.eye(3)[batch.labels]) / 32
    found = weigh_terms(job, steps=1).norms["ce"]
    assert found == pytest.approx(norm(pull.sum(0)), rel=1e-5)


@pytest.mark.parametrize(
    ("norms", "said"),
    [
        ({"kd": 250.0, "ce": 1.0}, "kd pulls at the weights 250 times as hard as ce"),
        ({"kd": 1.0, "ce": 250.0}, "ce pulls at the weights 250 times as hard as kd"),
        ({"kd": 99.0, "ce": 1.0}, None),
        ({"kd": 1.0, "ce": 0.0}, None),  # no image has a label: nothing to balance
        ({"ce": 1.0}, None),
    ],
)
def test_terms_more_than_a_hundred_to_one_apart_are_named(norms, said):
    weighed = Weighed(values=norms, norms=norms, steps=1, output=(1, 3), is_softmax=False)
    sentences = lopsided_sentences(weighed)
    assert len(sentences) == (said is not None)
    if said:
        assert said in sentences[0]
        strong, weak = ("kd", "ce") if norms["kd"] > norms["ce"] else ("ce", "kd")
        assert f"lower --{strong}-weight or raise --{weak}-weight" in sentences[0]


def test_the_students_state_stays_as_it_was(tmp_path):
    data = tiny.dataset()
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(784, 3)
    )
    module.eval()
    job = make_job(tmp_path, data, module, label_objective(0.0))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random_state = torch.get_rng_state()
    preflight_training(job, data)
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.grad is None for p in module.parameters())
    assert not module.training


def test_a_dry_run_writes_nothing_and_its_result_is_plain_json(tmp_path):
    folder = tmp_path / "out"
    job, data, timed = taught_job(folder)
    lessons = Lessons(teacher=timed, temperature=3.0, passes=4, kept_bytes=1234)
    found = preflight(job, data, lessons, networks=2)
    assert list(tmp_path.iterdir()) == []
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_images_sizes_and_counts_are_those_of_the_data(tmp_path):
    job, data, _ = taught_job(tmp_path)
    hidden = np.where(np.arange(96) < 60, UNLABELLED, data.train.labels)
    views = replace(job.plan.views, split=Split(data.train.images, hidden))
    found = preflight_training(replace(job, plan=replace(job.plan, views=views)), data)
    assert found["data"]["splits"] == {"train": 96, "validation": 48, "test": 60}
    assert found["data"]["taught"] == {"images": 96, "labelled": 36}
    assert found["student"]["parameters"] == 256 * 3 + 3
    assert found["student"]["output"] == [32, 3]
    assert found["memory"]["parameters_bytes"] == 4 * 771
    assert found["memory"]["optimizer_bytes"] == 4 * 771  # SGD's momentum
    assert found["memory"]["process_peak_bytes"] > 10**7
    assert found["warnings"] == []


def test_the_time_is_that_of_all_steps_passes_and_networks(tmp_path):
    job, data, timed = taught_job(tmp_path)
    lessons = Lessons(teacher=timed, temperature=3.0, passes=5)
    found = preflight(job, data, lessons, networks=6)["time"]
    assert (found["networks"], found["epochs"], found["steps_per_epoch"]) == (6, 4, 3)
    step = max(found["step_seconds"], found["reading_seconds"])
    evaluated = found["evaluation_seconds_per_image"] * (5 * 48 + 60)
    assert found["students_seconds"] == pytest.approx(6 * (4 * 3 * step + evaluated))
    parts = found["students_seconds"] + found["teacher_seconds"]
    assert found["total_seconds"] == pytest.approx(parts)


def test_a_teachers_accuracy_and_entropy_are_reported(tmp_path):
    job, data, timed = taught_job(tmp_path)
    found = preflight(job, data, Lessons(teacher=timed, temperature=3.0, passes=4))["teacher"]
    assert found["validation"]["n"] == 48
    assert found["validation"]["accuracy"] > 0.9
    assert found["validation"]["beats_chance"]
    assert found["entropy"]["images"] == 96
    assert found["entropy"]["largest"] == math.log(3)
    assert 0 < found["entropy"]["nats"] < found["entropy"]["nats_at_temperature"] < math.log(3)


def test_entropy_is_that_of_the_definition():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    second = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert answer_entropy(logits, 1.0) == pytest.approx((math.log(2) + second) / 2, rel=1e-6)


def test_a_teacher_at_chance_is_named_with_what_to_look_at(tmp_path):
    job, data, timed = taught_job(tmp_path, StripeTeacher(scale=-0.1))
    found = preflight(job, data, Lessons(teacher=timed, temperature=3.0, passes=4))
    assert any("naming one class" in s and "--teacher-mean" in s for s in found["warnings"])


def test_kept_answers_are_not_asked_about_validation_images(tmp_path):
    job, data, timed = taught_job(tmp_path, StripeTeacher(inputs=()))
    found = preflight(job, data, Lessons(teacher=timed, temperature=3.0, passes=0))
    assert found["teacher"]["validation"] is None
    assert found["time"]["teacher_seconds"] == 0
    assert dict(rows(found))["teacher"] == "stripes: answers that were kept"


def test_a_student_that_ends_in_a_softmax_is_named(tmp_path):
    data = tiny.dataset()
    module = nn.Sequential(linear_student(), nn.Softmax(dim=1))
    found = preflight_training(make_job(tmp_path, data, module, label_objective(0.0)), data)
    assert any("probabilities" in sentence for sentence in found["warnings"])


def test_probabilities_are_told_from_logits():
    assert are_probabilities(torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    assert not are_probabilities(torch.tensor([[0.25, 0.75], [1.0, 1.0]]))
    assert not are_probabilities(torch.tensor([[2.0, -1.0]]))


def test_time_spent_in_the_teacher_is_counted_by_the_image(tmp_path):
    job, _, timed = taught_job(tmp_path)
    batch = read_batch(job.plan, 0, 0)
    timed.logits(batch.views)
    timed.logits(batch.views)
    assert timed.images == 64
    assert timed.seconds > 0


def shown(found, *, terminal: bool) -> str:
    text = StringIO()
    show_preflight(found, Console(file=text, force_terminal=terminal, width=100, highlight=False))
    return text.getvalue()


def test_piped_rows_are_plain_lines_and_every_warning_is_among_them(tmp_path):
    job, data, timed = taught_job(tmp_path, StripeTeacher(scale=-0.1))
    found = preflight(job, data, Lessons(teacher=timed, temperature=3.0, passes=4, kept_bytes=9600))
    lines = shown(found, terminal=False).splitlines()
    assert "images: tiny: 96 train, 48 validation, 60 test; 16 x 16, seen at 16 x 16" in lines
    assert "teaching: 96 images in 4 views, 96 of them with a label" in lines
    assert "student: 771 parameters; input 1 x 16 x 16, output [32, 3]" in lines
    assert "kept logits: 9.6 kB on disk" in lines
    assert len([line for line in lines if line.startswith("warning: ")]) == len(found["warnings"])
    assert all("\x1b" not in line for line in lines)


def test_a_terminal_gets_a_table_with_the_same_rows(tmp_path):
    job, data, timed = taught_job(tmp_path)
    found = preflight(job, data, Lessons(teacher=timed, temperature=3.0, passes=4))
    text = shown(found, terminal=True)
    assert all(label in text for label, _ in rows(found))
    assert "\x1b[1m" in text


def test_a_training_without_teacher_has_no_row_about_one(tmp_path):
    data = tiny.dataset()
    job = make_job(tmp_path, data, linear_student(), label_objective(0.0))
    labels = [label for label, _ in rows(preflight_training(job, data))]
    assert labels == ["images", "teaching", "classes", "student", "term ce", "memory", "time"]
