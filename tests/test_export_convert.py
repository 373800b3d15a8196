"""One ONNX file: it answers as torch does, carries what it needs, and nothing of this machine."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import exported
import tiny
from compress.errors import ExportError, UsageError
from compress_bench.metadata import read_metadata
from compress_export.convert import convert
from compress_export.session import open_session, run_logits, session_options
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


def test_the_file_loads_in_the_oldest_runtime_that_we_name():
    graph = exported.float_graph()
    assert graph.ir_version <= 10  # onnxruntime 1.18 reads no newer one
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 18)]


def test_everything_is_in_one_file():
    folder = exported.float_file().parent
    assert [path.name for path in folder.iterdir()] == ["student.onnx"]


def test_nothing_of_this_machine_is_in_the_file():
    content = exported.float_file().read_bytes()
    for secret in (str(Path.home()), str(Path.cwd()), str(Path(torch.__file__).parents[2])):
        assert secret.encode() not in content
    for note in (b"stack_trace", b"pkg.torch", b"site-packages", b".py"):
        assert note not in content.replace(b"net.py:branched", b"")


def test_the_file_alone_says_how_to_use_it():
    found = read_metadata(_session(exported.float_file()), subject="student.onnx")
    assert found.preprocessing == exported.SPEC
    assert found.classes == tiny.CLASSES
    assert found.parameters == sum(p.numel() for p in exported.trained().parameters())
    assert found.network == "net.py:branched"


def test_the_same_network_gives_the_same_bytes(tmp_path):
    convert(exported.loaded(exported.trained()), tmp_path / "again.onnx", opset=18)
    assert (tmp_path / "again.onnx").read_bytes() == exported.float_file().read_bytes()


def test_real_images_and_noise_are_compared_at_batches_1_2_and_5():
    parity = verify(
        exported.loaded(exported.trained()), _session(exported.float_file()), exported.inputs(8)
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
    with pytest.raises(ExportError, match=r"within .* of torch's, found a difference of .* batch"):
        verify(
            exported.loaded(exported.trained()),
            _session(tmp_path / "tampered.onnx"),
            exported.inputs(8),
        )


class _Spectral(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svd(x)[1].flatten(1)


def test_an_operator_without_onnx_form_is_named_with_its_module(tmp_path, capfd):
    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(1, 1, 3))
    network.add_module("odd", _Spectral())
    network.add_module("head", nn.Linear(14, 3))
    with pytest.raises(ExportError, match=r"linalg_svd in module odd has no ONNX form") as caught:
        convert(exported.loaded(network), tmp_path / "a.onnx", opset=18)
    assert isinstance(caught.value.__cause__, torch.onnx.OnnxExporterError)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


class _Undecided(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :3] if x.sum() > 0 else x.flatten(1)[:, 3:6]


def test_a_branch_on_values_is_refused_in_one_sentence(tmp_path, capfd):
    with pytest.raises(ExportError, match=r"cannot trace its forward .* depend on tensor values"):
        convert(exported.loaded(_Undecided()), tmp_path / "a.onnx", opset=18)
    assert capfd.readouterr() == ("", "")


class _FixedBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)[:, :3]


def test_a_batch_baked_into_forward_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"shape \[batch, 3\], found \[2, 3\]"):
        convert(exported.loaded(_FixedBatch()), tmp_path / "a.onnx", opset=18)


class _TwoOutputs(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = x.flatten(1)
        return features[:, :3], features


def test_a_second_output_is_refused(tmp_path):
    with pytest.raises(ExportError, match="let forward return the logits alone"):
        convert(exported.loaded(_TwoOutputs()), tmp_path / "a.onnx", opset=18)


def test_an_opset_that_torch_would_silently_raise_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--opset: expected 18 to 22, .* found 17"):
        convert(exported.loaded(exported.trained()), tmp_path / "a.onnx", opset=17)
