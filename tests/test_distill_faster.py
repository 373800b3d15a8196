"""A torch teacher answers by onnxruntime where that pays, and only with the same answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import teachers_case as case
from compress.distill.teachers.faster import choose_runtime, hasten
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.onnx_network import OnnxNetwork
from compress.distill.teachers.torch_network import TorchNetwork
from compress.errors import UsageError
from compress.training.views import read_views
from training_jobs import view_plan

PLAN = view_plan()
SAID = "answers by onnxruntime"


@pytest.fixture
def teacher(tmp_path) -> LiveTeacher:
    return case.load(case.checkpoint(tmp_path / "teacher"))


def test_few_answers_are_not_worth_the_conversion(teacher):
    assert choose_runtime(teacher, 49_999, "auto") == "torch"
    assert choose_runtime(teacher, 50_000, "auto") == "onnxruntime"


def test_many_answers_are_given_by_onnxruntime_and_are_the_same(teacher):
    said = case.Said()
    fast = hasten(teacher, PLAN, "onnxruntime", "auto", said)
    assert isinstance(fast, LiveTeacher)
    assert isinstance(fast.network, OnnxNetwork)
    views = read_views(PLAN, 3, np.arange(40))
    assert torch.allclose(fast.logits(views), teacher.logits(views), atol=1e-4)
    assert fast.identity() == teacher.identity()
    assert SAID in said.sentences[-1]


def test_torch_is_kept_where_it_is_asked_for(teacher):
    assert choose_runtime(teacher, 10**9, "torch") == "torch"
    assert hasten(teacher, PLAN, "torch", "torch", case.Said()) is teacher


class _Unexportable(nn.Module):
    """Its forward looks at a value, which no graph can hold."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x.mean((2, 3)).repeat(1, 3)
        return -x.mean((2, 3)).repeat(1, 3)


def _unexportable(teacher: LiveTeacher) -> LiveTeacher:
    network = teacher.network
    assert isinstance(network, TorchNetwork)
    model = replace(network.model, module=_Unexportable())
    return replace(teacher, network=TorchNetwork(model, "cpu"))


def test_a_network_without_an_onnx_form_goes_on_by_torch(teacher):
    stubborn = _unexportable(teacher)
    assert hasten(stubborn, PLAN, "onnxruntime", "auto", case.Said()) is stubborn


def test_a_network_without_an_onnx_form_is_refused_where_onnxruntime_was_asked_for(teacher):
    with pytest.raises(UsageError, match="use --teacher-runtime torch"):
        hasten(_unexportable(teacher), PLAN, "onnxruntime", "onnxruntime", case.Said())
