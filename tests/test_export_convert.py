"""One ONNX graph: it answers as torch does, its nodes name their modules, and nothing else."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

import exported
import tiny
from compress.errors import ExportError
from compress_bench.metadata import read_metadata
from compress_export.convert import convert
from compress_export.naming import ROOT, module_of
from compress_export.session import open_session, run_logits, session_options
from compress_export.sources import torch_source
from compress_export.verify import verify


def _session(path: Path):
    return open_session(path, session_options(1), subject=path.name)


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_the_file_answers_as_torch_does_at_any_batch(batch):
    images = exported.inputs(batch)
    with torch.no_grad():
        expected = exported.trained()(torch.from_numpy(images)).numpy()
    found = run_logits(_session(exported.float_file()), images)
    assert np.abs(expected).max() > 1  # an untrained network would hide a fault
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_input_output_and_batch_are_named():
    graph = exported.float_graph()
    (source,), (result,) = graph.graph.input, graph.graph.output
    shapes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (source, result)
    ]
    assert (source.name, result.name) == ("input", "logits")
    assert shapes == [["batch", 1, 16, 16], ["batch", 3]]


def test_the_file_alone_says_how_to_use_it():
    found = read_metadata(_session(exported.float_file()), subject="student.onnx")
    assert found.preprocessing == exported.SPEC
    assert found.classes == tiny.CLASSES
    assert found.parameters == sum(p.numel() for p in exported.trained().parameters())
    assert found.network == "net.py:branched"


def test_the_same_network_gives_the_same_bytes():
    again, _ = convert(exported.loaded(exported.trained()), 18)
    once = exported.float_graph().graph
    assert again.graph.SerializeToString(deterministic=True) == once.SerializeToString(
        deterministic=True
    )


def test_each_node_is_named_after_its_module():
    names = [node.name for node in exported.float_graph().graph.node]
    assert names[:4] == ["stem.0/Conv", "stem.2/Clip", "residual.0/Conv", f"{ROOT}/Add"]
    assert "pool/ReduceMean.GlobalAveragePool" in names
    assert names[-1] == "head/Gemm"
    assert len(set(names)) == len(names)
    modules = {name for name, _ in exported.trained().named_modules()} | {ROOT}
    assert {module_of(name) for name in names} <= modules


class _Twice(nn.Module):
    """One layer used twice, a function of torch between, and a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))
        self.weight = nn.Parameter(torch.ones(3, 256))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(torch.relu(self.body(x))))
        return nn.functional.linear(x.flatten(1), self.weight)


def test_a_module_used_twice_is_told_apart_also_for_an_older_operator_set():
    graph, _ = convert(exported.loaded(_Twice()), 15)
    assert [o.version for o in graph.opset_import] == [18]  # the oldest that torch writes
    names = [node.name for node in graph.graph.node if node.op_type in ("Conv", "Relu", "Gemm")]
    assert names == [
        "body.0/Conv",
        f"{ROOT}/Relu",
        "body.0/Conv:2",
        f"{ROOT}/Relu:2",
        f"{ROOT}/Gemm",
    ]


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_fused_integer_operators_still_name_their_modules(level, tmp_path):
    options = session_options(1, getattr(ort.GraphOptimizationLevel, level))
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    open_session(exported.int8_file(), options, subject="student.int8.onnx")
    fused = onnx.load(tmp_path / "fused.onnx").graph.node
    found = {module_of(node.name) for node in fused if node.op_type == "QLinearConv"}
    assert found == {"stem.0", "residual.0", "depthwise.0", "pointwise.0"}


def test_real_images_and_noise_are_compared_at_batches_1_2_and_5():
    images = tiny.images(8, 2)[0]
    parity = verify(
        torch_source(exported.loaded(exported.trained())), _session(exported.float_file()), images
    )
    assert parity.batches == (1, 2, 5)
    assert 0 < parity.max_abs_difference < 1e-5
    assert 1e-4 <= parity.tolerance < 1e-2


def test_a_changed_weight_is_found(tmp_path):
    graph = onnx.ModelProto()
    graph.CopyFrom(exported.float_graph())
    tensor = next(t for t in graph.graph.initializer if t.name == "residual.0.weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0, 1, 1] += 0.01
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, tmp_path / "tampered.onnx")
    source = torch_source(exported.loaded(exported.trained()))
    with pytest.raises(ExportError, match=r"found a difference of .* batch"):
        verify(source, _session(tmp_path / "tampered.onnx"), tiny.images(8, 2)[0])


class _Step(nn.Module):
    """A module that does one thing to its input."""

    def __init__(self, step) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.step(x)


def _with_odd(step) -> nn.Module:
    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(1, 1, 3))
    network.add_module("odd", _Step(step))
    network.add_module("head", nn.Flatten())
    return network


_REFUSED = {
    "no ONNX form": (
        lambda x: torch.linalg.svd(x)[1],
        r"operator aten._linalg_svd in module odd has no ONNX form; write that step with",
    ),
    "sparse": (
        lambda x: x.to_sparse().to_dense(),
        r"operator aten._to_sparse in module odd \(test_export_convert.py, line \d+\)",
    ),
    "branch on values": (
        lambda x: x if x.sum() > 0 else -x,
        r"cannot trace its forward .* in module odd .*line \d+\); .* depend on tensor values",
    ),
    "wrong shape": (
        lambda x: x @ torch.zeros(3, 3),
        r"cannot trace its forward .* in module odd .*; look whether that step works",
    ),
    "loop over images": (
        lambda x: torch.stack([image * 2 for image in x]),
        r"any number of images, found one that fixes it at 2; take the batch from x.shape\[0\]",
    ),
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_what_cannot_be_exported_is_named_with_its_module_and_a_way_out(kind, capfd):
    step, expected = _REFUSED[kind]
    with pytest.raises(ExportError, match=expected) as caught:
        convert(exported.loaded(_with_odd(step)), 18)
    assert str(caught.value).startswith("net.py:branched: ")
    assert "\n" not in str(caught.value)
    assert not re.search(r"/\w+/", str(caught.value))  # no folder of this machine
    assert isinstance(caught.value.__cause__, torch.onnx.OnnxExporterError)
    assert capfd.readouterr() == ("", "")


class _FixedBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)[:, :3]


def test_a_batch_baked_into_forward_is_refused():
    with pytest.raises(ExportError, match=r"shape \[batch, 3\], found \[2, 3\]"):
        convert(exported.loaded(_FixedBatch()), 18)


class _TwoOutputs(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = x.flatten(1)
        return features[:, :3], features


def test_a_second_output_is_refused():
    with pytest.raises(ExportError, match="let forward return the logits alone"):
        convert(exported.loaded(_TwoOutputs()), 18)
