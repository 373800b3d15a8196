"""A teacher that shows what is inside it, and those that cannot."""

import numpy as np
import pytest
import torch

import teachers_case as case
from compress.distill.teachers.tapped import network_of, tap_teacher
from compress.errors import UsageError
from compress.models.taps import Tap


def test_one_forward_gives_logits_and_features_without_gradient(tmp_path):
    teacher = case.load(case.checkpoint(tmp_path))
    module = network_of(teacher).model.module
    modes: list[bool] = []
    module.register_forward_hook(lambda *_: modes.append(module.training))
    tapped = tap_teacher(teacher, [Tap("norm"), Tap("head", "input"), Tap("norm")])
    module.train()
    views = case.views(4)
    logits, (maps, means, again) = tapped.answers(views)
    assert modes == [False]  # once, in eval mode
    assert torch.equal(logits, case.reference_logits(4))
    inputs = (torch.from_numpy(views.pixels).permute(0, 3, 1, 2) - 128.0) / 64
    assert torch.allclose(maps, module.norm(module.conv(inputs)), atol=1e-5)
    assert torch.allclose(means, maps.relu().mean((2, 3)), atol=1e-5)
    assert torch.equal(again, maps)
    assert not any(tensor.requires_grad for tensor in (logits, maps, means))


def test_a_tapped_teacher_is_the_same_teacher_otherwise(tmp_path):
    teacher = case.load(case.checkpoint(tmp_path))
    tapped = tap_teacher(teacher, [Tap("norm")])
    bound = tapped.bind(case.plan(), 4.0)
    assert torch.equal(bound.logits(case.views()), teacher.logits(case.views()))
    assert len(bound.answers(case.views()).features) == 1
    assert (tapped.name, tapped.classes) == (teacher.name, teacher.classes)
    assert (tapped.identity(), tapped.record()) == (teacher.identity(), teacher.record())
    assert tapped.inputs == teacher.inputs
    norm = network_of(teacher).model.module.norm
    assert len(norm._forward_hooks) == 1
    tapped.close()
    assert not norm._forward_hooks


def test_an_onnx_file_cannot_be_looked_into(tmp_path):
    teacher = case.load(case.File().write(tmp_path / "edges.onnx"))
    with pytest.raises(UsageError, match=r"feature losses need the network itself, .* onnxruntime"):
        tap_teacher(teacher, [Tap("norm")])


def test_answers_from_a_file_cannot_be_looked_into(tmp_path):
    np.savez(tmp_path / "answers.npz", logits=case.reference_logits(96).numpy())
    teacher = case.load(tmp_path / "answers.npz")
    with pytest.raises(UsageError, match="found answers from a file; give a checkpoint folder"):
        network_of(teacher)


def test_several_teachers_cannot_be_looked_into(tmp_path):
    teacher = case.load(*(case.checkpoint(tmp_path / name) for name in "ab"))
    with pytest.raises(UsageError, match="expected one torch network, found 2 teachers"):
        network_of(teacher)


def test_a_teacher_that_is_to_be_run_by_onnxruntime_cannot_be_looked_into(tmp_path):
    teacher = case.load(case.checkpoint(tmp_path))
    with pytest.raises(UsageError, match="--teacher-runtime onnxruntime: feature losses need the"):
        network_of(teacher, "onnxruntime")
